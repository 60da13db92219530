import { readdirSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import type { Model } from '../../../src/runtime/types.js'
import { rejection } from '../repository/thrown.js'
import { loaded } from './loaded.js'
import { inputsOf, type ReferenceCase, type ReferenceModel, rawOf, readJson } from './reference.js'

const { models } = readJson<{ models: Record<string, ReferenceModel> }>('test/data/onnx/reference.json')
const loadable = Object.entries(models).filter(([name]) => !name.startsWith('unsupported_'))

async function check(model: Model, { inputs, outputs, error }: ReferenceCase): Promise<void> {
  if (error !== undefined) {
    const failure = await rejection(model.infer(inputsOf(inputs)))
    expect(failure.code).toBe('ENGINE_FAILED')
    expect(failure.message.length).toBeGreaterThan(20)
    return
  }
  const result = await model.infer(inputsOf(inputs))
  expect(Object.keys(result).sort()).toEqual(outputs?.map((each) => each.name).sort())
  for (const wanted of outputs ?? []) {
    const tensor = Object.getOwnPropertyDescriptor(result, wanted.name)?.value
    expect(tensor.datatype).toBe(wanted.datatype)
    expect(tensor.shape).toEqual(wanted.shape)
    if (wanted.datatype === 'BYTES') expect(tensor.data).toEqual(wanted.data)
    else expect(rawOf(tensor)).toBe(wanted.raw)
  }
}

it('every committed ONNX file has reference values', () => {
  const files = readdirSync('test/data/onnx').filter((name) => name.endsWith('.onnx'))
  expect(files.sort()).toEqual(Object.keys(models).sort())
})

describe.each(loadable)('%s', (file, { inputs, outputs, cases = [] }) => {
  it('unbatched, shows the tensors of the file and gives the values of ONNX Runtime in Python', async () => {
    const model = await loaded(`test/data/onnx/${file}`, { max_batch_size: 0 })
    expect(model.inputs).toEqual(inputs)
    expect(model.outputs).toEqual(outputs)
    for (const each of cases) await check(model, each)
  })

  it('as completed by itself, gives the same for requests that have rows', async () => {
    const model = await loaded(`test/data/onnx/${file}`)
    const rows = (each: ReferenceCase): number => each.inputs[0]?.shape[0] ?? 1
    const fitting = cases.filter(
      (each) => model.maxBatchSize === 0 || (rows(each) > 0 && rows(each) <= model.maxBatchSize),
    )
    if (model.inputs.some((spec) => spec.engineShape)) return // a row is [1] to users where the file has none
    for (const each of fitting) await check(model, each)
  })

  it('runs on this thread with the same values', async () => {
    const model = await loaded(`test/data/onnx/${file}`, { max_batch_size: 0 })
    for (const { inputs: given, outputs: wanted, error } of cases) {
      if (error !== undefined) {
        expect(() => model.inferSync(inputsOf(given))).toThrow(expect.objectContaining({ code: 'ENGINE_FAILED' }))
        continue
      }
      const result = model.inferSync(inputsOf(given))
      for (const { name, shape, datatype, raw, data } of wanted ?? []) {
        const tensor = Object.getOwnPropertyDescriptor(result, name)?.value
        expect(tensor.shape).toEqual(shape)
        expect(datatype === 'BYTES' ? tensor.data : rawOf(tensor)).toEqual(datatype === 'BYTES' ? data : raw)
      }
    }
  })
})

it.each([
  ['unsupported_fp8.onnx', "'x'"],
  ['unsupported_int4.onnx', "'x'"],
  ['unsupported_sequence.onnx', "'list'"],
  ['unsupported_complex64.onnx', "'x'"],
])('%s is refused with NOT_SUPPORTED, naming %s', async (file, named) => {
  const error = await rejection(loaded(`test/data/onnx/${file}`))
  expect(error.code).toBe('NOT_SUPPORTED')
  expect(error.message).toContain(named)
  expect(error.remedy).not.toBe('')
})

it('strings keep what other readers of UTF-8 drop', async () => {
  const model = await loaded('test/data/onnx/identity_bytes.onnx')
  const x = ['\ufeffmark', '\0', 'a\0b']
  expect((await model.infer({ x })).y?.data).toEqual(x)
})

it('byte strings come back as they went in when bytes are asked for', async () => {
  const model = await loaded('test/data/onnx/identity_bytes.onnx')
  const data = [Uint8Array.of(0, 255, 0), new Uint8Array(0), Uint8Array.of(0xc3, 0x28)]
  const { y } = await model.infer({ x: { data, shape: [1, 3] } }, { bytes: true })
  expect(y?.data).toEqual(data)
  expect(model.inferSync({ x: data }, { bytes: true }).y?.data).toEqual(data)
})

it('a tensor that is the outcome of a shape unknown before the run may be kept after the model is closed', async () => {
  const model = await loaded('test/data/onnx/nonzero.onnx')
  const { indices } = await model.infer({ x: { data: Float32Array.of(0, 3, 0, 5), shape: [4] } })
  await model.close()
  expect(indices).toMatchObject({ shape: [1, 2], data: BigInt64Array.of(1n, 3n) })
})
