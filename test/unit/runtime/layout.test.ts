import { expect, it } from 'vitest'
import { addon } from '../../../src/runtime/binding.js'
import { DATATYPES, STORAGE } from '../../../src/runtime/datatype.js'
import { ERROR_TABLE, NATIVE_CODES } from '../../../src/runtime/error-table.js'
import {
  DOUBLE,
  HEADER_BYTES,
  MAX_RANK,
  OUTPUT,
  OUTPUT_BYTES,
  STAGED_BYTES,
  WORD,
} from '../../../src/runtime/record.js'

const native = addon().layout()

it('records have the same size in both languages', () => {
  expect(native).toMatchObject({ header: HEADER_BYTES, output: OUTPUT_BYTES, staged: STAGED_BYTES, maxRank: MAX_RANK })
})

it('fields of a record header lie where TypeScript reads them', () => {
  for (const [name, word] of Object.entries(WORD)) expect([name, native[name]]).toEqual([name, word * 4])
  for (const [name, double] of Object.entries(DOUBLE)) expect([name, native[name]]).toEqual([name, double * 8])
})

it('fields of an output record lie where TypeScript reads them', () => {
  expect(native).toMatchObject({
    outputOffset: OUTPUT.offset * 8,
    outputBytes: OUTPUT.bytes * 8,
    outputRank: OUTPUT.rankWord * 4,
    outputSource: OUTPUT.sourceWord * 4,
    outputShape: OUTPUT.shape * 8,
  })
})

it('datatypes have the same order in both languages, and an array each', () => {
  expect(native.datatypes).toEqual([...DATATYPES])
  for (const { array, bytes } of Object.values(STORAGE))
    expect(bytes === 0 || array.BYTES_PER_ELEMENT === bytes).toBe(true)
})

it('error codes have the same order in both languages', () => {
  expect(native.codes).toBe(NATIVE_CODES.length)
  for (const { http, grpc, meaning, remedy } of Object.values(ERROR_TABLE)) {
    expect(http).toBeGreaterThanOrEqual(400)
    expect(grpc).toBeGreaterThan(0)
    expect(meaning).toMatch(/\.$/)
    expect(remedy).toMatch(/\.$/)
  }
})
