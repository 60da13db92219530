import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { load } from '../../../src/load/load.js'
import type { LoadOptions } from '../../../src/runtime/types.js'
import { rejection } from '../repository/thrown.js'
import { loaded, modelDirectory, row } from '../runtime/loaded.js'

const mlp = readFileSync('models/mlp/1/model.onnx')
const digits = readFileSync('models/digits/1/model.onnx')
const tensors = `
  input [{ name: "input" data_type: TYPE_FP32 dims: [ 64 ] }]
  output [{ name: "output" data_type: TYPE_FP32 dims: [ 8 ] }]`

it('a path where nothing is gives MODEL_NOT_FOUND and a near name', async () => {
  const error = await rejection(load('models/digit'))
  expect(error).toMatchObject({ code: 'MODEL_NOT_FOUND', message: expect.stringContaining('models/digit') })
  expect(error.message).toContain('digits')
})

it.each([[undefined], [null], [5], [{}]])('a path that is %j is refused', async (path) => {
  expect(await rejection(load(path as unknown as string))).toMatchObject({ code: 'INVALID_INPUT' })
})

it.each<[string, Uint8Array]>([
  ['empty', new Uint8Array(0)],
  ['text', Buffer.from('this is no model')],
  ['zeros', new Uint8Array(4096)],
  ['cut in half', digits.subarray(0, digits.length >> 1)],
  ['cut by one byte', digits.subarray(0, digits.length - 1)],
  ['changed in the middle', Buffer.from(digits).fill(0xff, 200, 400)],
])('a model file that is %s gives MODEL_INVALID', async (_, content) => {
  const directory = await modelDirectory('broken', '', { '1/model.onnx': content })
  const error = await rejection(load(directory))
  expect(error.code).toBe('MODEL_INVALID')
  expect(error.message).toContain('model.onnx')
  expect(error.remedy).not.toBe('')
})

describe('a configuration that contradicts the model', () => {
  it.each<[string, string, RegExp]>([
    ['another datatype', tensors.replace('FP32', 'INT32'), /config\.pbtxt:\d+.*"input" is FP32 in the model/],
    ['another shape', tensors.replace('64', '63'), /config\.pbtxt:\d+.*"input" has 64 there/],
    ['another name', tensors.replace('"input"', '"image"'), /config\.pbtxt:\d+.*no input "image"/],
    ['another output', tensors.replace('[ 8 ]', '[ 8, 1 ]'), /config\.pbtxt:\d+.*2 dimensions/],
  ])('(%s) is CONFIG_INVALID with file and line', async (_, io, message) => {
    const config = `backend: "onnxruntime"\nmax_batch_size: 8\n${io}`
    const error = await rejection(load(await modelDirectory('mlp', config, { '1/model.onnx': mlp })))
    expect(error.code).toBe('CONFIG_INVALID')
    expect(error.message).toMatch(message)
    expect(error.details).toMatchObject({ file: expect.stringContaining('config.pbtxt'), line: expect.any(Number) })
  })
})

it.each<[string, LoadOptions, RegExp]>([
  ['an unknown option', { batch: 4 }, /options: batch: unknown option/],
  ['a setting of the wrong type', { max_batch_size: 'many' }, /max_batch_size/],
  ['a negative batch size', { max_batch_size: -1 }, /max_batch_size/],
  ['no memory', { memoryMb: 0 }, /memoryMb/],
  ['a queue of no length', { maxQueueSize: 0 }, /maxQueueSize/],
  ['an unknown way to wake', { wake: 'never' as 'auto' }, /wake/],
  ['an unknown way to wait', { whenFull: 'drop' as 'wait' }, /whenFull/],
])('%s is CONFIG_INVALID, naming the option', async (_, options, message) => {
  const error = await rejection(load('models/mlp', options))
  expect(error.code).toBe('CONFIG_INVALID')
  expect(error.message).toMatch(message)
})

it('engines that are not there are ENGINE_NOT_FOUND', async () => {
  const nowhere = { engine: 'triton', engineLibrary: '/nowhere/libtritonserver.so' } as const
  expect(await rejection(load('models/mlp', nowhere))).toMatchObject({ code: 'ENGINE_NOT_FOUND' })
  const unknown = await rejection(load('models/mlp', { engine: 'magic' as 'null' }))
  expect(unknown).toMatchObject({ code: 'ENGINE_NOT_FOUND', message: expect.stringContaining("'magic'") })
})

it('parameters may be strings, numbers and booleans, and null takes nothing', async () => {
  const model = await loaded('models/echo', { parameters: { busy_us: 1, other: true, text: 'x' } })
  expect(model.config.parameters).toMatchObject({ busy_us: { string_value: '1' }, other: { string_value: 'true' } })
  await loaded('models/echo', { parameters: null as unknown as Record<string, string> })
})

it('a parameter that the engine cannot read is CONFIG_INVALID', async () => {
  const error = await rejection(load('models/echo', { parameters: { busy_us: 'long' } }))
  expect(error).toMatchObject({ code: 'CONFIG_INVALID', message: expect.stringContaining('busy_us') })
})

it('labels that are missing are an error with the name of the file', async () => {
  const config = `backend: "onnxruntime"\nmax_batch_size: 8\n${tensors.replace('[ 8 ]', '[ 8 ] label_filename: "none.txt"')}`
  const error = await rejection(load(await modelDirectory('mlp', config, { '1/model.onnx': mlp })))
  expect(error.message).toContain('none.txt')
})

it('labels of an output are the lines of its file', async () => {
  const config = `backend: "onnxruntime"\nmax_batch_size: 8\n${tensors.replace('[ 8 ]', '[ 8 ] label_filename: "names.txt"')}`
  const model = await loaded(await modelDirectory('mlp', config, { '1/model.onnx': mlp, 'names.txt': 'zero\none\n' }))
  expect(model.labels('output')).toEqual(['zero', 'one'])
  expect(model.labels('input')).toBeUndefined()
})

describe('of several versions', () => {
  const files = { '1/model.onnx': mlp, '2/model.onnx': digits, '10/model.onnx': mlp }

  it('the highest is loaded, or the one that is asked for', async () => {
    const directory = await modelDirectory('many', '', files)
    expect(await loaded(directory)).toMatchObject({ version: '10', inputs: [{ name: 'input' }] })
    expect(await loaded(directory, { version: 2 })).toMatchObject({ version: '2', inputs: [{ name: 'image' }] })
    expect(await loaded(directory, { version: '1' })).toMatchObject({ version: '1', inputs: [{ name: 'input' }] })
  })

  it('version_policy chooses', async () => {
    const directory = await modelDirectory('many', 'version_policy { specific { versions: [ 2 ] } }', files)
    expect((await loaded(directory)).version).toBe('2')
  })

  it('one that is not there is MODEL_NOT_FOUND, with those that are', async () => {
    const directory = await modelDirectory('many', '', files)
    for (const version of [3, '02', 'latest', -1]) {
      const error = await rejection(load(directory, { version }))
      expect(error).toMatchObject({ code: 'MODEL_NOT_FOUND', message: expect.stringContaining('1, 2, 10') })
    }
  })
})

it('a failed load disturbs no model that is loaded', async () => {
  const model = await loaded('models/echo')
  const running = model.infer(row(4))
  await rejection(load(join('models', 'none')))
  await rejection(load(await modelDirectory('broken', '', { '1/model.onnx': digits.subarray(0, 500) })))
  expect((await running).output?.data).toEqual(row(4).input)
})
