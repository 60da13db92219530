import fc from 'fast-check'
import { expect, it } from 'vitest'
import { decodeRecords, encodeRecord } from '../../../src/sla/state-records.js'

const payloads = fc.array(fc.jsonValue({ maxDepth: 2 }), { maxLength: 12 })
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value))

it('gives back what was written', () => {
  fc.assert(
    fc.property(payloads, (list) => {
      const file = Buffer.concat(list.map(encodeRecord))
      expect(decodeRecords(file)).toEqual({ payloads: list.map(plain), end: file.length, damage: [] })
    }),
  )
})

it('a file that is cut off anywhere gives the records before the cut, and says so', () => {
  const list = [{ n: 1 }, { n: 2, text: 'ÿSLA' }, { n: 3 }]
  const records = list.map(encodeRecord)
  const file = Buffer.concat(records)
  for (let length = 0; length <= file.length; length++) {
    let whole = 0
    for (let end = 0; whole < 3 && end + (records[whole]?.length ?? 0) <= length; whole++) {
      end += records[whole]?.length ?? 0
    }
    const { payloads: read, end, damage } = decodeRecords(file.subarray(0, length))
    expect(read).toEqual(list.slice(0, whole))
    expect(damage).toHaveLength(end === length ? 0 : 1)
  }
})

it('damage anywhere costs the record it hits, never gives another one, and leaves those behind it', () => {
  fc.assert(
    fc.property(
      payloads.filter((list) => list.length > 0),
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      (list, where, flip) => {
        const records = list.map(encodeRecord)
        const file = Buffer.concat(records)
        const at = where % file.length
        file[at] = (file[at] ?? 0) ^ flip
        let hit = 0
        for (let end = records[0]?.length ?? 0; at >= end; end += records[++hit]?.length ?? 0);
        const { payloads: read, damage } = decodeRecords(file)
        expect(read).toEqual(list.filter((_, i) => i !== hit).map(plain))
        expect(damage).toHaveLength(1)
      },
    ),
  )
})

it('bytes that are no records at all give none', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      expect(decodeRecords(Buffer.from(bytes)).payloads).toEqual([])
    }),
  )
})
