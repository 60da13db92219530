import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { openDataset } from '../../../src/data/dataset.js'
import { type NpyArray, writeNpz } from '../../../src/data/npz.js'
import type { Datatype } from '../../../src/runtime/datatype.js'
import type { SubtenError } from '../../../src/runtime/errors.js'
import type { Model, TensorInput } from '../../../src/runtime/types.js'
import { type FakeSpec, fakeModel } from '../../../src/testing.js'

let base = ''
let path = ''
let made = 0
beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), 'subten-data-'))
})
beforeEach(() => {
  path = join(base, `${made++}`)
})
afterAll(() => rm(base, { recursive: true }))

const array = (datatype: Datatype, shape: number[], values: ArrayLike<number>): NpyArray => {
  const kinds = { FP32: Float32Array, FP64: Float64Array, UINT8: Uint8Array, INT32: Int32Array, FP16: Uint16Array }
  if (datatype === 'INT64') return { datatype, shape, data: BigInt64Array.from(Array.from(values, BigInt)) }
  return { datatype, shape, data: kinds[datatype as 'FP32'].from(values) }
}
const counting = (count: number) => Array.from({ length: count }, (_, i) => i)

function modelOf(spec: Partial<FakeSpec> = {}): Model {
  return fakeModel({
    maxBatchSize: 4,
    inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 2] }],
    outputs: [{ name: 'scores', datatype: 'FP32', shape: [-1, 3] }],
    ...spec,
  })
}

async function problemOf(model: Model, arrays?: Record<string, NpyArray>): Promise<SubtenError> {
  if (arrays) await writeNpz(path, arrays)
  const error = await openDataset(path, model).then(
    () => undefined,
    (thrown: SubtenError) => thrown,
  )
  expect(error).toMatchObject({ code: 'INVALID_INPUT', details: { file: path } })
  return error as SubtenError
}

describe('a dataset of arrays', () => {
  it('gives rows with a leading dimension, as the model takes them', async () => {
    const model = modelOf()
    await writeNpz(path, { x: array('FP32', [3, 2], counting(6)), labels: array('INT64', [3], [2, 0, 1]) })
    const data = await openDataset(path, model)
    expect([data.path, data.count, data.labels]).toEqual([path, 3, Int32Array.of(2, 0, 1)])
    expect(await data.rows(1, 3)).toEqual({
      x: { data: Float32Array.of(2, 3, 4, 5), shape: [2, 2], datatype: 'FP32' },
    })
    await expect(model.infer(await data.rows(0, 3))).resolves.toMatchObject({ scores: { shape: [3, 3] } })
    for (const [from, to] of [
      [0, 4],
      [-1, 1],
      [2, 2],
      [0.5, 1],
    ] as const) {
      await expect(data.rows(from, to)).rejects.toMatchObject({ code: 'INVALID_INPUT' })
    }
  })

  it('takes the one array that fits the only input, whatever it is called, and no labels', async () => {
    await writeNpz(path, { images: array('FP32', [2, 2], counting(4)), other: array('FP32', [2], [1, 2]) })
    const data = await openDataset(path, modelOf())
    expect(data).not.toHaveProperty('labels')
    expect((await data.rows(0, 2)).x).toMatchObject({ shape: [2, 2] })
  })

  it('widens numbers that the input holds exactly, and refuses others', async () => {
    const image = (datatype: Datatype) => [{ name: 'x', datatype, shape: [-1, 2] }]
    const rowsOf = async (to: Datatype, from: Datatype, values: number[]) => {
      await writeNpz(path, { x: array(from, [1, 2], values) })
      const rows = await (await openDataset(path, modelOf({ inputs: image(to) }))).rows(0, 1)
      return Array.from((rows.x as TensorInput).data as ArrayLike<number | bigint>)
    }
    expect(await rowsOf('FP32', 'UINT8', [0, 255])).toEqual([0, 255])
    expect(await rowsOf('FP32', 'INT64', [-(2 ** 24), 2 ** 24])).toEqual([-(2 ** 24), 2 ** 24])
    expect(await rowsOf('FP32', 'FP16', [0x3c00, 0xc000])).toEqual([1, -2])
    expect(await rowsOf('FP16', 'UINT8', [1, 255])).toEqual([0x3c00, 0x5bf8])
    expect(await rowsOf('INT64', 'INT32', [-5, 7])).toEqual([-5n, 7n])
    expect(await rowsOf('UINT8', 'INT64', [0, 255])).toEqual([0, 255])
    await expect(rowsOf('FP32', 'INT64', [0, 2 ** 24 + 1])).rejects.toThrow(
      /'x'.*FP32 holds exactly.*16777217 at index 1/,
    )
    await expect(rowsOf('UINT8', 'INT64', [0, 256])).rejects.toThrow(/256 at index 1/)
    await expect(rowsOf('FP32', 'FP64', [0, 1])).rejects.toMatchObject({
      details: { array: 'x', given: 'it is FP64' },
      remedy: 'Save it with array.astype(numpy.float32).',
    })
  })

  it('names array, wanted and given of what does not fit', async () => {
    const x = array('FP32', [3, 2], counting(6))
    const wrong = await problemOf(modelOf(), { x: array('FP32', [3, 5], counting(15)) })
    expect(wrong.details).toMatchObject({ array: 'x', wanted: 'FP32 [rows, 2]', given: 'it is [3,5]' })
    const two = [
      { name: 'a', datatype: 'FP32' as const, shape: [-1, 2] },
      { name: 'b', datatype: 'FP32' as const, shape: [-1, 2] },
    ]
    expect((await problemOf(modelOf({ inputs: two }), { a: x })).message).toMatch(/array 'b'.*there is only 'a' FP32/)
    const uneven = { a: x, b: array('FP32', [2, 2], counting(4)) }
    expect((await problemOf(modelOf({ inputs: two }), uneven)).message).toMatch(/'b': 3 rows as in 'a'.*it has 2/)
    expect((await problemOf(modelOf(), { x: array('FP32', [0, 2], []) })).message).toMatch(/at least one row/)
    expect((await problemOf(modelOf(), {})).message).toMatch(/no array/)
  })

  it('names what is wrong with labels', async () => {
    const x = array('FP32', [3, 2], counting(6))
    const labelled = (labels: NpyArray) => problemOf(modelOf(), { x, labels })
    expect((await labelled(array('INT64', [2], [0, 1]))).message).toMatch(/'labels': one for each of 3 rows.*\[2\]/)
    expect((await labelled(array('INT64', [3], [0, 1, 3]))).message).toMatch(/a class from 0 to 2.*row 2 is 3/)
    expect((await labelled(array('INT64', [3], [0, -1, 1]))).message).toMatch(/row 1 is -1/)
    expect((await labelled(array('FP32', [3], [0, 1, 2]))).message).toMatch(/whole numbers.*FP32/)
  })

  it('spreads a limit over all rows, and its sum is of the rows that are used', async () => {
    const x = array('FP32', [6, 2], counting(12))
    await writeNpz(path, { x, labels: array('INT64', [6, 1], [0, 0, 1, 1, 2, 2]) })
    const some = await openDataset(path, modelOf(), { limit: 3 })
    expect([some.count, some.labels]).toEqual([3, Int32Array.of(0, 1, 2)])
    expect((await some.rows(0, 3)).x).toMatchObject({ data: Float32Array.of(0, 1, 4, 5, 8, 9) })
    const same = join(base, 'same')
    await writeNpz(same, { labels: array('UINT8', [3], [0, 1, 2]), x: array('FP32', [3, 2], [0, 1, 4, 5, 8, 9]) })
    expect((await openDataset(same, modelOf())).sha256).toBe(some.sha256)
    await writeNpz(same, { labels: array('UINT8', [3], [0, 1, 1]), x: array('FP32', [3, 2], [0, 1, 4, 5, 8, 9]) })
    expect((await openDataset(same, modelOf())).sha256).not.toBe(some.sha256)
    await expect(openDataset(path, modelOf(), { limit: 0 })).rejects.toMatchObject({ code: 'INVALID_INPUT' })
  })

  it('gives a model that does not batch one row at a time, in its own shape', async () => {
    await writeNpz(path, { x: array('FP32', [3, 2], counting(6)) })
    const own = { maxBatchSize: 0, outputs: [] }
    const bare = await openDataset(path, modelOf({ ...own, inputs: [{ name: 'x', datatype: 'FP32', shape: [2] }] }))
    expect((await bare.rows(1, 2)).x).toMatchObject({ shape: [2], data: Float32Array.of(2, 3) })
    await expect(bare.rows(0, 2)).rejects.toThrow(/one row at a time/)
    const one = await openDataset(path, modelOf({ ...own, inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2] }] }))
    expect((await one.rows(2, 3)).x).toMatchObject({ shape: [1, 2] })
  })
})

describe('a dataset of pictures', () => {
  const spec: Partial<FakeSpec> = {
    inputs: [{ name: 'image', datatype: 'FP32', shape: [-1, 3, 2, 2] }],
    outputs: [{ name: 'scores', datatype: 'FP32', shape: [-1, 3] }],
    labels: { scores: ['stop', 'yield', '30'] },
  }
  const picture = async (folder: string, name: string, red: number) => {
    await mkdir(join(path, folder), { recursive: true })
    const background = { r: red, g: 0, b: 0 }
    const bytes = await sharp({ create: { width: 4, height: 4, channels: 3, background } })
      .png()
      .toBuffer()
    await writeFile(join(path, folder, name), bytes)
  }

  it('has the class that its folder is named after, as a label or as an index', async () => {
    await picture('stop', 'b.png', 255)
    await picture('stop', 'a.png', 51)
    await picture('1', 'a.png', 102)
    await picture('30', 'a.png', 0)
    await writeFile(join(path, '.DS_Store'), '')
    const data = await openDataset(path, modelOf(spec))
    expect(data.labels).toEqual(Int32Array.of(1, 2, 0, 0))
    const { image } = await data.rows(0, 4)
    expect(image).toMatchObject({ shape: [4, 3, 2, 2], datatype: 'FP32' })
    const reds = [0, 1, 2, 3].map((row) => ((image as TensorInput).data as Float32Array)[row * 12])
    expect(reds).toEqual([102, 0, 51, 255].map((red) => Math.fround(red / 255)))
    expect((await openDataset(path, modelOf(spec), { limit: 2 })).labels).toEqual(Int32Array.of(1, 0))
  })

  it('has no labels where the pictures lie in one folder', async () => {
    await picture('', 'a.png', 255)
    const data = await openDataset(path, modelOf(spec))
    expect(data).not.toHaveProperty('labels')
    expect(data.sha256).toMatch(/^[0-9a-f]{64}$/)
    expect(data.count).toBe(1)
  })

  it('says what is wrong with folders and files', async () => {
    expect((await problemOf(modelOf(spec))).message).toMatch(/there is none/)
    await mkdir(path)
    expect((await problemOf(modelOf(spec))).message).toMatch(/there are none/)
    await picture('give-way', 'a.png', 0)
    expect((await problemOf(modelOf(spec))).message).toMatch(/named 'stop', 'yield', '30'.*there is 'give-way'/)
    await rm(path, { recursive: true })
    await picture('stop', 'a.png', 0)
    await writeFile(join(path, 'stop', 'b.png'), 'hello')
    const data = await openDataset(path, modelOf(spec))
    await expect(data.rows(0, 2)).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      message: expect.stringMatching(/^stop\/b\.png: .*neither a PNG/),
      details: { file: 'stop/b.png' },
    })
    await picture('', 'stray.png', 0)
    expect((await problemOf(modelOf(spec))).message).toMatch(/both folders \('stop'\) and files \('stray.png'\)/)
  })
})
