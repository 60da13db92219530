import { expect, it } from 'vitest'
import { load } from '../../../src/load/load.js'
import { rejection } from '../repository/thrown.js'
import { loaded, modelDirectory, nullModel } from '../runtime/loaded.js'

const tensors = `
  max_batch_size: 4
  input [{ name: "input" data_type: TYPE_FP32 dims: [ 2 ] }]
  output [{ name: "output" data_type: TYPE_FP32 dims: [ 2 ] }]`

function sample(source: string, count = 1): string {
  return `model_warmup [{ name: "s" batch_size: 2 count: ${count}
    inputs { key: "input" value { data_type: TYPE_FP32 dims: [ 2 ] ${source} } } }]`
}

it.each([['zero_data: true'], ['random_data: true']])(
  'a model warms up with %s, and its figures begin afterwards',
  async (source) => {
    const model = await nullModel(`${tensors} ${sample(source, 3)}`)
    expect(model.stats()).toMatchObject({ requests: { submitted: 0 }, batches: { count: 0 } })
    await model.infer({ input: new Float32Array(2) })
    expect(model.stats().requests.submitted).toBe(1)
  },
)

it('a sample may come from a file of the right size', async () => {
  const config = `backend: "subten_null" ${tensors} ${sample('input_data_file: "data"')}`
  await loaded(await modelDirectory('null', config, { 'warmup/data': new Uint8Array(16) }))
  const wrong = load(await modelDirectory('null', config, { 'warmup/data': new Uint8Array(15) }))
  expect(await rejection(wrong)).toMatchObject({ code: 'CONFIG_INVALID', message: expect.stringContaining('16') })
  expect(await rejection(load(await modelDirectory('null', config)))).toMatchObject({ code: 'CONFIG_INVALID' })
})

it('a warm-up that fails fails the load', async () => {
  const config = `backend: "subten_null" ${tensors} ${sample('zero_data: true')}`
  const error = await rejection(load(await modelDirectory('null', config), { parameters: { fail_every: 1 } }))
  expect(error).toMatchObject({ code: 'ENGINE_FAILED' })
})
