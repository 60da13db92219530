import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { reshape } from '../../../src/runtime/reshape.js'
import { rejection } from '../repository/thrown.js'
import { floats, loaded, modelDirectory, row } from './loaded.js'

function mlp(input: string, output: string): Promise<string> {
  const config = `
    backend: "onnxruntime"
    max_batch_size: 16
    input [{ name: "input" data_type: TYPE_FP32 ${input} }]
    output [{ name: "output" data_type: TYPE_FP32 ${output} }]`
  return modelDirectory('mlp', config, { '1/model.onnx': readFileSync('models/mlp/1/model.onnx') })
}

describe('a model whose configuration reshapes its tensors', () => {
  it('takes and gives the configured dims, in every way to ask', async () => {
    const plain = await loaded('models/mlp')
    const directory = await mlp(
      'dims: [ 8, 8 ] reshape { shape: [ 64 ] }',
      'dims: [ 2, 2, 2 ] reshape { shape: [ 8 ] }',
    )
    const model = await loaded(directory)
    expect(model.inputs).toMatchObject([{ shape: [-1, 8, 8], engineShape: [-1, 64] }])
    expect(model.outputs).toMatchObject([{ shape: [-1, 2, 2, 2] }])
    const { input } = row(0.25)
    const wanted = (await plain.infer({ input })).output?.data
    const slot = await model.claim()
    floats(slot.inputs.input).set(input)
    expect(slot.inputs.input?.shape).toEqual([1, 8, 8])
    for (const { output } of [
      await model.infer({ input }),
      await model.infer({ input: { data: input, shape: [1, 8, 8] } }),
      model.inferSync({ input: { data: input, shape: [1, 8, 8] } }),
      await slot.submit(),
    ]) {
      expect(output).toMatchObject({ shape: [1, 2, 2, 2] })
      expect([...floats(output)]).toEqual([...(wanted as Float32Array)])
    }
    const three = await model.infer({ input: { data: new Float32Array(192), shape: [3, 8, 8] } })
    expect(three.output?.shape).toEqual([3, 2, 2, 2])
  })

  it('refuses the shape of the engine, naming its own', async () => {
    const model = await loaded(await mlp('dims: [ 8, 8 ] reshape { shape: [ 64 ] }', 'dims: [ 8 ]'))
    const error = await rejection(model.infer({ input: { data: row(1).input, shape: [1, 64] } }))
    expect(error.message).toContain("input 'input' has shape [1,64], the model takes [-1,8,8]")
  })

  it('may have one unknown dimension', async () => {
    const config = `
      backend: "onnxruntime"
      max_batch_size: 0
      input [
        { name: "a" data_type: TYPE_FP32 dims: [ -1, 1, 3 ] reshape { shape: [ -1, 3 ] } },
        { name: "b" data_type: TYPE_FP32 dims: [ 1, -1, 3 ] reshape { shape: [ -1, 3 ] } }]
      output [{ name: "sum" data_type: TYPE_FP32 dims: [ 1, -1, -1 ] reshape { shape: [ -1, -1 ] } }]`
    const files = { '1/model.onnx': readFileSync('test/data/onnx/add_dynamic.onnx') }
    const model = await loaded(await modelDirectory('add', config, files))
    for (const count of [1, 2, 5]) {
      const data = new Float32Array(count * 3).fill(count)
      const { sum } = await model.infer({ a: data, b: { data, shape: [1, count, 3] } })
      expect(sum).toMatchObject({ shape: [1, count, 3], data: new Float32Array(count * 3).fill(2 * count) })
    }
  })

  it('completed from the model gives a value a row the shape [1]', async () => {
    const model = await loaded('test/data/onnx/two_in_two_out.onnx')
    expect(model.inputs).toMatchObject([{ name: 'value', shape: [-1, 1], engineShape: [-1] }, { name: 'count' }])
    const result = await model.infer({
      value: { data: Float32Array.of(1.5, -2, 8), shape: [3, 1] },
      count: { data: Int32Array.of(2, 3, 7), shape: [3, 1] },
    })
    expect(result.product).toMatchObject({ shape: [3, 1], data: Float32Array.of(3, -6, 56) })
    expect(result.above).toMatchObject({ shape: [3, 1], data: Uint8Array.of(0, 0, 1) })
  })
})

it('unknown dimensions keep their sizes, in order', () => {
  expect(reshape([5, 2, 7], [-1, 2, -1], [-1, -1, 2, 1])).toEqual([5, 7, 2, 1])
  expect(reshape([3], [-1], [-1, 1])).toEqual([3, 1])
  expect(reshape([4, 4], [4, 4], [16])).toEqual([16])
})
