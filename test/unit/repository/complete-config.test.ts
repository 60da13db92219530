import { describe, expect, test } from 'vitest'
import { checkAgainst } from '../../../src/repository/check-against.js'
import { completeConfig, type ModelSpec } from '../../../src/repository/complete-config.js'
import { emptyConfig } from '../../../src/repository/config-document.js'
import { parseConfig } from '../../../src/repository/config-text.js'
import { resolveConfig } from '../../../src/repository/model-config.js'
import { applyOverrides } from '../../../src/repository/overrides.js'
import { thrown } from './thrown.js'

const FILE = 'models/m/config.pbtxt'
const spec = (inputs: Record<string, [string, number[]]>, outputs: Record<string, [string, number[]]>): ModelSpec => {
  const tensors = (all: Record<string, [string, number[]]>) =>
    Object.entries(all).map(([name, [datatype, shape]]) => ({ name, datatype, shape }))
  return { inputs: tensors(inputs), outputs: tensors(outputs) }
}
const DIGITS = spec({ image: ['FP32', [-1, 1, 8, 8]] }, { probabilities: ['FP32', [-1, 10]] })
const FIXED = spec({ x: ['FP32', [1, 4]] }, { y: ['FP32', [1, 2]] })

/** What the loader does: complete, resolve, check. */
function settle(text: string | undefined, model: ModelSpec) {
  const document = completeConfig(text === undefined ? emptyConfig() : parseConfig(text, FILE), model)
  const config = resolveConfig(document, { modelName: 'm' })
  checkAgainst(document, config, model)
  return config
}

describe('a configuration completed from the model', () => {
  test('without a file, a model whose tensors all begin with a dynamic dimension batches up to 4', () => {
    const config = settle(undefined, DIGITS)
    expect(config.max_batch_size).toBe(4)
    expect(config.dynamic_batching?.preferred_batch_size).toEqual([4])
    expect(config.input).toMatchObject([{ name: 'image', data_type: 'TYPE_FP32', dims: [1, 8, 8] }])
    expect(config.output).toMatchObject([{ name: 'probabilities', dims: [10] }])
  })

  test('without a file, any other model does not batch and keeps its full shapes', () => {
    const config = settle(undefined, FIXED)
    expect(config.max_batch_size).toBe(0)
    expect(config.dynamic_batching).toBeUndefined()
    expect(config.input[0]?.dims).toEqual([1, 4])
    const mixed = spec({ x: ['FP32', [-1, 4]] }, { loss: ['FP32', []] })
    expect(settle(undefined, mixed).max_batch_size).toBe(0)
  })

  test('a tensor of nothing but the batch dimension is reshaped from one element', () => {
    const config = settle(undefined, spec({ x: ['INT64', [-1]] }, { y: ['BYTES', [-1]] }))
    expect(config.input[0]).toMatchObject({ dims: [1], reshape: { shape: [] }, data_type: 'TYPE_INT64' })
    expect(config.output[0]?.data_type).toBe('TYPE_STRING')
  })

  test('a scalar of a model that does not batch has no dims', () => {
    expect(settle(undefined, spec({ x: ['FP32', []] }, { y: ['FP32', [3]] })).input[0]?.dims).toEqual([])
  })

  test('a written max_batch_size stays, and batching is switched on above 1', () => {
    expect(settle('max_batch_size: 32', DIGITS)).toMatchObject({
      max_batch_size: 32,
      dynamic_batching: { preferred_batch_size: [32] },
    })
    expect(settle('max_batch_size: 1', DIGITS).dynamic_batching).toBeUndefined()
    const none = settle('max_batch_size: 0', DIGITS)
    expect(none.dynamic_batching).toBeUndefined()
    expect(none.input[0]?.dims).toEqual([-1, 1, 8, 8])
  })

  test('written batching settings stay', () => {
    const config = settle('dynamic_batching { max_queue_delay_microseconds: 7 }', DIGITS)
    expect(config.max_batch_size).toBe(4)
    expect(config.dynamic_batching?.max_queue_delay_microseconds).toBe(7)
  })

  test('with inputs and outputs written, nothing about batching is added', () => {
    const text = `input { name: "image" data_type: TYPE_FP32 dims: [ -1, 1, 8, 8 ] }
      output { name: "probabilities" data_type: TYPE_FP32 dims: [ -1, 10 ] }`
    expect(settle(text, DIGITS).max_batch_size).toBe(0)
    const batched = settle(`max_batch_size: 8 input { name: "image" } output { name: "probabilities" }`, DIGITS)
    expect(batched.dynamic_batching).toBeUndefined()
    expect(batched.input[0]).toMatchObject({ data_type: 'TYPE_FP32', dims: [1, 8, 8] })
  })

  test('inputs written with all their dimensions mean that there is no batch dimension', () => {
    const config = settle('input { name: "image" data_type: TYPE_FP32 dims: [ -1, 1, 8, 8 ] }', DIGITS)
    expect(config.max_batch_size).toBe(0)
    expect(config.output[0]?.dims).toEqual([-1, 10])
  })

  test('the label file of an output given by name alone is kept', () => {
    const config = settle('output { name: "probabilities" label_filename: "labels.txt" }', DIGITS)
    expect(config.output[0]).toMatchObject({ dims: [10], label_filename: 'labels.txt', data_type: 'TYPE_FP32' })
  })

  test('options count as written', () => {
    const document = completeConfig(applyOverrides(emptyConfig(), { max_batch_size: 16 }), DIGITS)
    expect(resolveConfig(document).max_batch_size).toBe(16)
  })

  test('a datatype without a KServe name is NOT_SUPPORTED and named', () => {
    const error = thrown(() => settle(undefined, spec({ x: ['FP8E4M3FN', [1]] }, {})))
    expect(error.code).toBe('NOT_SUPPORTED')
    expect(error.message).toContain('"x" has the datatype FP8E4M3FN')
  })
})

describe('a configuration that contradicts the model', () => {
  const io = (input: string, output = 'output { name: "probabilities" data_type: TYPE_FP32 dims: 10 }'): string =>
    `max_batch_size: 8\ninput {\nname: "image"\ndata_type: TYPE_FP32\n${input}\n}\n${output}`

  test.each([
    ['max_batch_size: 4', FIXED, 1, 'max_batch_size', 'the first dimension of "x" is fixed: the model has [1, 4]'],
    [
      'max_batch_size: 8\ninput { name: "imag" data_type: TYPE_FP32 dims: [ 1, 8, 8 ] }',
      DIGITS,
      2,
      'input[0].name',
      'the model has no input "imag"; did you mean "image"?',
    ],
    [
      'max_batch_size: 8\noutput { name: "logits" data_type: TYPE_FP32 dims: 10 }',
      DIGITS,
      2,
      'output[0].name',
      'the model has no output "logits"; its outputs are probabilities',
    ],
    [
      'max_batch_size: 8\ninput { name: "image"\ndata_type: TYPE_UINT8 dims: [ 1, 8, 8 ] }',
      DIGITS,
      3,
      'input[0].data_type',
      'is TYPE_UINT8, but "image" is FP32 in the model',
    ],
    [
      io('dims: [ 8, 8 ]'),
      DIGITS,
      5,
      'input[0].dims',
      '[8, 8] has 2 dimensions where 3 are needed: the model has [-1, 1, 8, 8]',
    ],
    [io('dims: [ 1, 8, 9 ]'), DIGITS, 5, 'input[0].dims[2]', 'is 9, but "image" has 8 there'],
    [io('dims: [ 1, -1, 8 ]'), DIGITS, 5, 'input[0].dims[1]', 'is -1, but "image" has 8 there'],
    [io('dims: 64\nreshape { shape: [ 8, 8 ] }'), DIGITS, 6, 'input[0].reshape.shape', '[8, 8] has 2 dimensions'],
    [io('dims: [ 1, 8, 8 ]\noptional: true'), DIGITS, 6, 'input[0].optional', 'cannot be optional'],
    [
      io('dims: [ 1, 8, 8 ]\nallow_ragged_batch: true'),
      DIGITS,
      6,
      'input[0].allow_ragged_batch',
      'needs the shape [-1]',
    ],
    [
      io('dims: [ 1, 8, 8 ]', 'output { name: "probabilities" data_type: TYPE_FP32\ndims: 11 }'),
      DIGITS,
      8,
      'output[0].dims[0]',
      'is 11, but "probabilities" has 10 there',
    ],
    [
      'input { name: "x" data_type: TYPE_FP32 dims: 2 }',
      spec({ x: ['FP32', []] }, { y: ['FP32', [1]] }),
      1,
      'input[0].dims',
      'is a scalar',
    ],
    [
      'input { name: "a" data_type: TYPE_FP32 dims: 4 }',
      spec({ a: ['FP32', [4]], b: ['INT64', [2]] }, { y: ['FP32', [1]] }),
      1,
      'input',
      'also needs the input "b" (INT64 [2])',
    ],
  ])('%j is refused', (text, model, line, field, problem) => {
    const error = thrown(() => settle(text, model))
    expect(error.code).toBe('CONFIG_INVALID')
    expect(error.details).toEqual({ file: FILE, line, field })
    expect(error.message).toContain(problem)
  })

  test('what the options contradict is blamed on the options', () => {
    const document = completeConfig(applyOverrides(parseConfig('name: "m"', FILE), { max_batch_size: 2 }), FIXED)
    const error = thrown(() => checkAgainst(document, resolveConfig(document), FIXED))
    expect(error.message).toMatch(/^options: max_batch_size: is 2/)
  })

  test('a dynamic dimension of an input may be narrowed, and a reshape or a scalar of one element agrees', () => {
    const model = spec({ x: ['FP32', [-1, -1]], s: ['FP32', []] }, { y: ['FP32', [-1, 2]] })
    const text = `max_batch_size: 4
      input { name: "x" data_type: TYPE_FP32 dims: 16 }
      input { name: "s" data_type: TYPE_FP32 dims: 1 }
      output { name: "y" data_type: TYPE_FP32 dims: [ 1, 2 ] reshape { shape: 2 } }`
    expect(settle(text, model).input[0]?.dims).toEqual([16])
  })

  test('outputs may be left out, optional inputs too', () => {
    const model: ModelSpec = {
      inputs: [
        { name: 'a', datatype: 'FP32', shape: [4] },
        { name: 'b', datatype: 'FP32', shape: [4], optional: true },
      ],
      outputs: spec({}, { y: ['FP32', [1]], z: ['FP32', [1]] }).outputs,
    }
    const text = `input { name: "a" data_type: TYPE_FP32 dims: 4 } output { name: "z" data_type: TYPE_FP32 dims: 1 }`
    expect(settle(text, model).output.map((output) => output.name)).toEqual(['z'])
  })
})
