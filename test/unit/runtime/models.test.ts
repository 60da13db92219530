import { describe, expect, it } from 'vitest'
import type { Model, Outputs } from '../../../src/runtime/types.js'
import { floats, loaded, row } from './loaded.js'
import { type ReferenceTensor, readJson } from './reference.js'

interface Reference {
  models: Record<string, { inputs: ReferenceTensor[]; outputs: ReferenceTensor[] }>
}
const reference = readJson<Reference>('test/data/reference.json')
const heldOut = readJson<{ labels: number[]; images: number[][] }>('test/data/digits-heldout.json')
const images = heldOut.images.map((pixels) => ({ image: Float32Array.from(pixels, (value) => value / 16) }))

function numbers(outputs: Outputs, name: string): number[] {
  return [...floats(outputs[name])]
}

function largest(values: readonly number[]): number {
  return values.indexOf(Math.max(...values))
}

async function accuracy(model: Model): Promise<number> {
  const outputs = await model.inferMany(images)
  const right = outputs.filter((each, i) => largest(numbers(each, 'probabilities')) === heldOut.labels[i])
  return right.length / images.length
}

describe.each([
  ['mlp', 1e-4],
  ['digits', 1e-5],
  // Another processor may round another way in integer kernels.
  ['digits_int8', 0.03],
])('models/%s', (name, tolerance) => {
  const { inputs, outputs } = reference.models[name] as Reference['models'][string]
  const [input, output] = [inputs[0] as ReferenceTensor, outputs[0] as ReferenceTensor]

  it('gives the values of ONNX Runtime in Python for a request of eight rows', async () => {
    const model = await loaded(`models/${name}`)
    const data = Float32Array.from(input.data as number[])
    const result = await model.infer({ [input.name]: { data, shape: input.shape } })
    expect(result[output.name]?.shape).toEqual(output.shape)
    for (const [i, value] of numbers(result, output.name).entries()) {
      expect(Math.abs(value - (output.data[i] as number))).toBeLessThan(tolerance)
    }
  })

  it('gives each row the same alone, in a batch and on this thread', async () => {
    const model = await loaded(`models/${name}`, { dynamic_batching: { max_queue_delay_microseconds: 20_000 } })
    const size = input.data.length / (input.shape[0] as number)
    const rows = Array.from({ length: 64 }, (_, i) => {
      const from = (i % 8) * size
      return { [input.name]: Float32Array.from(input.data.slice(from, from + size) as number[]) }
    })
    const together = await model.inferMany(rows)
    expect(model.stats().batches.meanSize).toBeGreaterThan(1)
    for (let i = 0; i < 8; i++) {
      const alone = numbers(await model.infer(rows[i] as (typeof rows)[0]), output.name)
      const here = numbers(model.inferSync(rows[i] as (typeof rows)[0]), output.name)
      const batched = numbers(together[i + 8] as Outputs, output.name)
      alone.forEach((value, at) => {
        expect(batched[at]).toBeCloseTo(value, 4)
        expect(here[at]).toBeCloseTo(value, 4)
      })
    }
  })
})

it('digits reads at least 98.5% of the held-out digits, and its INT8 form within half a point of that', async () => {
  const exact = await accuracy(await loaded('models/digits'))
  const int8 = await accuracy(await loaded('models/digits_int8'))
  expect(exact).toBeGreaterThanOrEqual(0.985)
  expect(int8).toBeGreaterThanOrEqual(exact - 0.005)
})

it('a model tells its name, version, engine, tensors, labels and configuration', async () => {
  const model = await loaded('models/digits')
  expect(model).toMatchObject({ name: 'digits', version: '1', engine: 'onnxruntime', maxBatchSize: 64, closed: false })
  expect(model.inputs).toEqual([{ name: 'image', datatype: 'FP32', shape: [-1, 1, 8, 8] }])
  expect(model.outputs).toEqual([{ name: 'probabilities', datatype: 'FP32', shape: [-1, 10] }])
  expect(model.labels('probabilities')).toEqual(['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'])
  expect(model.labels('toString')).toBeUndefined()
  expect(model.config).toMatchObject({ name: 'digits', max_batch_size: 64, backend: 'onnxruntime' })
})

it('echo gives back what it got, and the result stays the caller’s', async () => {
  const model = await loaded('models/echo')
  const first = await model.infer(row(1))
  for (let i = 0; i < 200; i++) await model.infer(row(i))
  expect(first.output).toMatchObject({ datatype: 'FP32', shape: [1, 64], data: row(1).input })
  await model.close()
  expect(first.output?.data).toEqual(row(1).input)
})

it('an input may be a bare array, an array with a shape and a datatype, or one of another realm', async () => {
  const { runInNewContext } = await import('node:vm')
  const model = await loaded('models/echo')
  const data = row(3).input
  for (const input of [data, { data }, { data, shape: [1, 64] }, { data, datatype: 'FP32' } as const]) {
    expect((await model.infer({ input })).output?.data).toEqual(data)
  }
  const foreign = runInNewContext('new Float32Array(64).fill(3)') as Float32Array
  expect(foreign).not.toBeInstanceOf(Float32Array)
  expect((await model.infer({ input: foreign })).output?.data).toEqual(data)
})
