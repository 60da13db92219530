import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { findVariants } from '../../../src/optimize/variants.js'
import { QuantisedOperators } from '../../../src/optimize/written-precision.js'

const folder = mkdtempSync(join(tmpdir(), 'subten-test-variants-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('the precision of a variant', () => {
  it('is told from the operators where no parameter says it', async () => {
    for (const name of ['digits', 'digits_int8']) cpSync(`models/${name}`, join(folder, name), { recursive: true })
    const config = readFileSync(join(folder, 'digits_int8/config.pbtxt'), 'utf8')
    writeFileSync(join(folder, 'digits_int8/config.pbtxt'), config.replaceAll('subten.quantization', 'from_elsewhere'))
    const found = await findVariants(join(folder, 'digits'), ['digits_int8'])
    expect(found.map(({ name, precision }) => [name, precision])).toEqual([
      ['digits', 'FP32'],
      ['digits_int8', 'INT8'],
    ])
  })

  it('is found wherever the file is cut into pieces', () => {
    const name = 'QLinearConv'
    const bytes = Buffer.concat([
      Buffer.alloc(40, 'x'),
      Buffer.from([0x22, name.length]),
      Buffer.from(name),
      Buffer.alloc(40),
    ])
    for (const size of [1, 2, 7, 13, 30, 64, 200]) {
      const operators = new QuantisedOperators()
      for (let from = 0; from < bytes.length; from += size) operators.add(bytes.subarray(from, from + size))
      expect(operators.found).toBe(true)
    }
    const other = new QuantisedOperators()
    other.add(Buffer.from('a node that is named QLinearConv'))
    expect(other.found).toBe(false)
  })
})
