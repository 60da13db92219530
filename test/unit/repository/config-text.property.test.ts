import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ConfigFields } from '../../../src/repository/config-document.js'
import { formatConfig, parseConfig } from '../../../src/repository/config-text.js'
import { resolveConfig } from '../../../src/repository/model-config.js'
import { type FieldInfo, integerRange, type MessageInfo, messageInfo } from '../../../src/repository/reflection.js'
import { SubtenError } from '../../../src/runtime/errors.js'

const MAX_SAFE = BigInt(Number.MAX_SAFE_INTEGER)

/** Any value that the schema allows for a message. */
function messages(info: MessageInfo): fc.Arbitrary<Record<string, unknown>> {
  const model: Record<string, fc.Arbitrary<unknown>> = {}
  for (const field of info.fields.values()) model[field.name] = fc.option(values(field), { nil: undefined, freq: 2 })
  return fc.record(model).map((record) => {
    const chosen = new Set<string>()
    const kept: Record<string, unknown> = {}
    for (const [name, value] of Object.entries(record)) {
      const choice = info.fields.get(name)?.choice
      if (value === undefined || (choice !== undefined && chosen.has(choice))) continue
      if (choice !== undefined) chosen.add(choice)
      kept[name] = value
    }
    return kept
  })
}

function values(field: FieldInfo): fc.Arbitrary<unknown> {
  const one = single(field)
  if (field.kind === 'list') return fc.array(one, { minLength: 1, maxLength: 3 })
  if (field.kind === 'single') return one
  const key =
    field.keyType === 'string'
      ? fc.string({ unit: 'binary' }).filter((text) => text !== '__proto__')
      : fc.nat().map(String)
  return fc
    .uniqueArray(fc.tuple(key, one), { minLength: 1, maxLength: 3, selector: ([name]) => name })
    .map((entries) => {
      const map: Record<string, unknown> = Object.create(null)
      for (const [name, value] of entries) map[name] = value
      return map
    })
}

function single(field: FieldInfo): fc.Arbitrary<unknown> {
  if (field.message) return messages(field.message)
  if (field.values) return fc.constantFrom(...Object.keys(field.values))
  if (field.type === 'string') return fc.string({ unit: 'binary', maxLength: 12 })
  if (field.type === 'bool') return fc.boolean()
  const range = integerRange(field.type)
  if (!range) return fc.double({ noNaN: true })
  const [min, max] = range
  return fc.bigInt({ min: min < -MAX_SAFE ? -MAX_SAFE : min, max: max > MAX_SAFE ? MAX_SAFE : max }).map(Number)
}

const configs = messages(messageInfo('ModelConfig')) as fc.Arbitrary<ConfigFields>

describe('any configuration', () => {
  test('reads back equal after it is written', () => {
    fc.assert(
      fc.property(configs, (fields) => {
        expect(parseConfig(formatConfig(fields), 'c.pbtxt').fields).toEqual(fields)
      }),
      { numRuns: 150 },
    )
  })

  test('resolves, or says with CONFIG_INVALID and a line why not', () => {
    fc.assert(
      fc.property(configs, (fields) => {
        const document = parseConfig(formatConfig(fields), 'c.pbtxt')
        try {
          resolveConfig(document, { partial: true })
        } catch (error) {
          if (!(error instanceof SubtenError)) throw error
          expect(error.code).toBe('CONFIG_INVALID')
          expect(error.details.line).toBeGreaterThan(0)
          expect(error.details.field).not.toBe('')
        }
      }),
      { numRuns: 150 },
    )
  })

  test('damaged anywhere, is still read or refused with CONFIG_INVALID', () => {
    const pieces = [
      '{',
      '}',
      '[',
      ']',
      ':',
      ',',
      '"',
      "'",
      '\\',
      '-',
      '#',
      '\n',
      '<',
      '>',
      '0',
      'x',
      '__proto__',
      '\u0000',
    ]
    const edits = fc.array(
      fc.record({
        at: fc.nat(),
        remove: fc.nat({ max: 6 }),
        insert: fc.oneof(fc.constantFrom(...pieces), fc.string()),
      }),
      { minLength: 1, maxLength: 4 },
    )
    fc.assert(
      fc.property(configs, edits, (fields, changes) => {
        let text = formatConfig(fields)
        for (const { at, remove, insert } of changes) {
          const start = at % (text.length + 1)
          text = text.slice(0, start) + insert + text.slice(start + remove)
        }
        expectReadOrRefused(text)
      }),
      { numRuns: 400 },
    )
  })

  test('made of noise, is read or refused with CONFIG_INVALID', () => {
    const words = fc.constantFrom(
      'input',
      'name',
      'dims',
      '{',
      '}',
      '[',
      ']',
      ':',
      '"a"',
      '1',
      '-',
      ',',
      '<',
      '>',
      'key',
    )
    fc.assert(fc.property(fc.array(words, { maxLength: 40 }), (list) => expectReadOrRefused(list.join(' '))))
    fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 60 }), expectReadOrRefused))
  })
})

function expectReadOrRefused(text: string): void {
  try {
    parseConfig(text, 'c.pbtxt')
  } catch (error) {
    if (!(error instanceof SubtenError)) throw error
    expect(error.code).toBe('CONFIG_INVALID')
  }
}
