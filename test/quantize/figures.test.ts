import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import type { Dataset } from '../../src/data/dataset.js'
import { readNpyHeader } from '../../src/data/npy.js'
import { pairedDifference, wilson } from '../../src/profile/proportions.js'
import { chosenRows, writeRows } from '../../src/quantize/calibration-rows.js'
import { fakeModel } from '../../src/testing.js'
import { temporaryFolder } from './tools.js'

const folder = temporaryFolder()

it('chooses all rows, or so many of them at random, the same each time and in their order', () => {
  expect(chosenRows(5, 9)).toEqual([0, 1, 2, 3, 4])
  const chosen = chosenRows(1000, 100)
  expect(chosen).toEqual([...new Set(chosen)].sort((a, b) => a - b))
  expect(chosen).toEqual(chosenRows(1000, 100))
  // Rows that repeat every ten, as classes in turn, must not all be of one class.
  const classes = Array.from({ length: 10 }, (_, k) => chosen.filter((row) => row % 10 === k).length)
  expect(Math.min(...classes)).toBeGreaterThan(2)
})

it("gives Wilson's interval", () => {
  // Newcombe (1998), table I: 81 of 263 and 0 of 20.
  const known = wilson(81, 263)
  expect(known.low).toBeCloseTo(0.2553, 4)
  expect(known.high).toBeCloseTo(0.3662, 4)
  expect(wilson(0, 20)).toMatchObject({ low: 0 })
  expect(wilson(0, 20).high).toBeCloseTo(0.1611, 4)
})

it('covers the true difference of paired shares in about 95 of 100 draws', () => {
  let state = 12345
  const random = (): number => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0
    return state / 2 ** 32
  }
  let covered = 0
  for (let draw = 0; draw < 2000; draw++) {
    let [gained, lost] = [0, 0]
    for (let row = 0; row < 300; row++) {
      const drawn = random()
      if (drawn < 0.02) gained++
      else if (drawn < 0.06) lost++
    }
    const { low, high } = pairedDifference(gained, lost, 300)
    if (low <= -0.02 && -0.02 <= high) covered++
  }
  expect(covered / 2000).toBeGreaterThan(0.93)
  expect(covered / 2000).toBeLessThan(0.975)
})

it('writes rows as a .npy file that says how many there are', async () => {
  const model = fakeModel({
    name: 'vector',
    maxBatchSize: 2,
    inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 3] }],
    outputs: [{ name: 'y', datatype: 'FP32', shape: [-1, 3] }],
  })
  const asked: [number, number][] = []
  const data: Dataset = {
    path: 'here',
    count: 9,
    sha256: '',
    rows: async (from, to) => {
      asked.push([from, to])
      return { x: Float32Array.from({ length: 3 * (to - from) }, (_, i) => 3 * from + i) }
    },
  }
  const files = await writeRows(data, model, [1, 2, 3, 7], folder)
  expect(asked).toEqual([
    [1, 3],
    [3, 4],
    [7, 8],
  ])
  const bytes = readFileSync(join(folder, 'input-0.npy'))
  expect(files).toEqual({ x: join(folder, 'input-0.npy') })
  const header = readNpyHeader(bytes, { file: 'x', array: 'x' })
  expect(header).toMatchObject({ datatype: 'FP32', shape: [4, 3], start: 256 })
  const numbers = new Float32Array(bytes.buffer.slice(bytes.byteOffset + 256, bytes.byteOffset + bytes.length))
  expect([...numbers]).toEqual([3, 4, 5, 6, 7, 8, 9, 10, 11, 21, 22, 23])
})

it('refuses inputs that cannot be calibrated with', async () => {
  const model = fakeModel({
    name: 'text',
    maxBatchSize: 0,
    inputs: [{ name: 'words', datatype: 'BYTES', shape: [1] }],
    outputs: [{ name: 'y', datatype: 'FP32', shape: [1] }],
  })
  const data: Dataset = { path: 'here', count: 1, sha256: '', rows: async () => ({ words: ['a'] }) }
  await expect(writeRows(data, model, [0], folder)).rejects.toMatchObject({ code: 'NOT_SUPPORTED' })
})
