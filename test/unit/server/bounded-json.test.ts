import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { longInteger, parseBoundedJson } from '../../../src/server/protocols/kserve-rest/bounded-json.js'

const parse = (text: string, depth = 20) => parseBoundedJson(Buffer.from(text), depth)

describe('parseBoundedJson', () => {
  it('reads what JSON.parse reads', () => {
    const value = fc.jsonValue({ maxDepth: 6 })
    fc.assert(
      fc.property(value, fc.integer({ min: 0, max: 3 }), (v, indent) => {
        const text = JSON.stringify(v, null, indent)
        const read = JSON.stringify(parse(text), (_k, x) => (longInteger(x) === undefined ? x : Number(longInteger(x))))
        expect(read).toBe(JSON.stringify(JSON.parse(text)))
      }),
    )
  })

  it('keeps every digit of whole numbers, and only of those', () => {
    const [big, fraction, exponent, text] = parse(
      '[-9223372036854775808, 0.1234567890123456789, 1e20, "12345678901234567890"]',
    ) as unknown[]
    expect(longInteger(big)).toBe('-9223372036854775808')
    expect(fraction).toBe(0.12345678901234568)
    expect(exponent).toBe(1e20)
    expect(text).toBe('12345678901234567890')
    expect(longInteger(text)).toBeUndefined()
  })

  it('refuses what is no JSON, as JSON.parse does', () => {
    for (const text of [
      '',
      '{',
      '[1,]',
      '01234567890123456789',
      '-',
      '--12345678901234567',
      '"\\"',
      '[1 2]',
      '\ufeff{}x',
    ]) {
      expect(() => parse(text), text).toThrow(/not JSON/)
    }
    expect(() => parse('[[[[1]]]]', 3)).toThrow(/deeper than 3/)
    expect(parse('[[[1]]]', 3)).toEqual([[[1]]])
    expect(parse('"[[[[[[["', 1)).toBe('[[[[[[[')
  })
})
