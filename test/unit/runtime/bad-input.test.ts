import { afterAll, beforeAll, expect, it } from 'vitest'
import { load } from '../../../src/load/load.js'
import type { SubtenError } from '../../../src/runtime/errors.js'
import type { InferOptions, Inputs, Model } from '../../../src/runtime/types.js'
import { rejection, thrown } from '../repository/thrown.js'
import { row } from './loaded.js'

let echo: Model
let dynamic: Model
let strings: Model
let pair: Model

beforeAll(async () => {
  echo = await load('models/echo')
  dynamic = await load('test/data/onnx/add_dynamic.onnx', { max_batch_size: 0 })
  strings = await load('test/data/onnx/identity_bytes.onnx')
  pair = await load('test/data/onnx/add_dynamic.onnx', { max_batch_size: 4 })
})
afterAll(() => Promise.all([echo, dynamic, strings, pair].map((model) => model.close())))

/** The error of a bad request, refused in all three ways to ask, while a good request in flight is not disturbed. */
async function refused(model: Model, inputs: unknown): Promise<SubtenError> {
  const good = echo.infer(row(7))
  const error = await rejection(model.infer(inputs as Inputs))
  expect(thrown(() => model.inferSync(inputs as Inputs)).message).toBe(error.message)
  const settled = await model.inferMany([inputs as Inputs], { onError: 'settle' })
  expect(settled).toMatchObject([{ ok: false, error: { code: error.code } }])
  expect((await good).output?.data).toEqual(row(7).input)
  expect(error.remedy).not.toBe('')
  return error
}

const f32 = (length: number): Float32Array => new Float32Array(length)

const wrong: [string, unknown, RegExp][] = [
  ['an unknown tensor', { input: f32(64), extra: f32(1) }, /no input 'extra'; it takes 'input'/],
  ['a missing tensor', {}, /input 'input' is missing/],
  ['an undefined tensor', { input: undefined }, /input 'input' is missing/],
  ['a null tensor', { input: null }, /input 'input' is missing/],
  ['no inputs', undefined, /object of tensors/],
  ['null for inputs', null, /object of tensors/],
  ['a number for inputs', 5, /object of tensors/],
  ['an array for inputs', [f32(64)], /no input '0'/],
  ['a name of Object.prototype', { toString: f32(64) }, /no input 'toString'/],
  ['a short array', { input: f32(63) }, /input 'input' has 63 elements, shape \[1,64\] needs 64/],
  ['a bare array of several rows', { input: f32(128) }, /give \{ data, shape \} for several rows/],
  ['another array type', { input: new Float64Array(64) }, /'input' is a Float64Array, FP32 needs a Float32Array/],
  ['a plain array of numbers', { input: Array.from({ length: 64 }, () => 0) }, /'input' is a plain array, FP32 needs/],
  ['strings', { input: ['a'] }, /'input' is a plain array/],
  ['an ArrayBuffer', { input: new ArrayBuffer(256) }, /'input' is a ArrayBuffer|'input' is an ArrayBuffer/],
  ['a DataView', { input: new DataView(new ArrayBuffer(256)) }, /'input' is a DataView/],
  ['a function', { input: () => f32(64) }, /'input' is a function/],
  [
    'another datatype',
    { input: { data: f32(64), datatype: 'FP64' } },
    /'input' has datatype FP64, the model takes FP32/,
  ],
  ['no data', { input: { shape: [1, 64] } }, /'input' is/],
  ['another shape', { input: { data: f32(64), shape: [64] } }, /'input' has shape \[64\], the model takes \[-1,64\]/],
  ['another row length', { input: { data: f32(64), shape: [2, 32] } }, /'input' has shape \[2,32\]/],
  ['a shape of another size', { input: { data: f32(64), shape: [2, 64] } }, /64 elements, shape \[2,64\] needs 128/],
  ['no rows', { input: { data: f32(0), shape: [0, 64] } }, /'input' has no rows/],
  ['NaN in the shape', { input: { data: f32(64), shape: [Number.NaN, 64] } }, /'input' has a shape that is not/],
  ['a negative dimension', { input: { data: f32(64), shape: [-1, 64] } }, /'input' has a shape that is not/],
  ['a fraction in the shape', { input: { data: f32(64), shape: [1.5, 64] } }, /'input' has a shape that is not/],
  ['strings in the shape', { input: { data: f32(64), shape: ['1', '64'] } }, /'input' has a shape that is not/],
  ['a shape that is no list', { input: { data: f32(64), shape: 64 } }, /'input' has a shape that is not/],
  ['a shape beyond any memory', { input: { data: f32(64), shape: [2 ** 50, 64] } }, /'input' has shape .* too large/],
  ['a proxy of a typed array', { input: new Proxy(f32(64), {}) }, /'input' is/],
  ['an object that only inherits from one', { input: Object.create(Float32Array.prototype) }, /'input' is/],
]

it.each(wrong)('%s is INVALID_INPUT, naming the tensor', async (_, inputs, message) => {
  const error = await refused(echo, inputs)
  expect(error.code).toBe('INVALID_INPUT')
  expect(error.message).toMatch(message)
})

it('a detached array is refused like any other of length 0', async () => {
  const data = f32(64)
  structuredClone(data, { transfer: [data.buffer as ArrayBuffer] })
  expect((await refused(echo, { input: data })).message).toContain('has 0 elements')
})

it('more rows than max_batch_size are BATCH_TOO_LARGE', async () => {
  const error = await refused(echo, { input: { data: f32(65 * 64), shape: [65, 64] } })
  expect(error).toMatchObject({ code: 'BATCH_TOO_LARGE', message: expect.stringContaining('65 rows') })
  expect(error.remedy).toContain('inferMany')
})

it('inputs of unlike row counts are refused, naming both counts', async () => {
  const one = { data: f32(2), shape: [1, 2] }
  const error = await refused(pair, { a: one, b: { data: f32(4), shape: [2, 2] } })
  expect(error).toMatchObject({ code: 'INVALID_INPUT', message: "input 'b' has 2 rows, another input has 1" })
})

it('a bare array with two unknown dimensions needs a shape', async () => {
  const error = await refused(dynamic, { a: f32(4), b: f32(4) })
  expect(error.message).toContain("input 'a' has 2 unknown dimensions in [-1,-1]: give { data, shape }")
})

it('only strings and byte strings are BYTES', async () => {
  expect((await refused(strings, { x: ['a', 1, 'c'] })).message).toContain("input 'x' has a number at index 1")
  expect((await refused(strings, { x: f32(3) })).message).toContain('BYTES needs string[] or Uint8Array[]')
  expect((await refused(strings, { x: ['a', 'b'] })).message).toContain("input 'x' has 2 elements")
})

it.each<[string, unknown]>([
  ['priority', { priority: -1 }],
  ['priority', { priority: 1.5 }],
  ['priority', { priority: 'high' }],
  ['deadlineMs', { deadlineMs: Number.NaN }],
  ['deadlineMs', { deadlineMs: 'soon' }],
  ['timeoutUs', { timeoutUs: -1 }],
  ['signal', { signal: {} }],
  ['signal', { signal: new AbortController() }],
  ['options', 5],
  ['options', null],
])('a request whose %s is wrong is refused before anything runs (%j)', async (name, options) => {
  const before = echo.stats().requests.submitted
  const error = await rejection(echo.infer(row(1), options as InferOptions))
  expect(error).toMatchObject({ code: 'INVALID_INPUT', message: expect.stringContaining(name) })
  expect(echo.stats().requests.submitted).toBe(before)
})

it('an accessor of the inputs may call infer itself, and its errors are the caller’s', async () => {
  const value = { data: row(2).input, shape: [1, 64] }
  let inner: Promise<unknown> | undefined
  const outer = await echo.infer({
    get input() {
      inner = echo.infer({ input: { data: f32(128).fill(5), shape: [2, 64] } })
      return value
    },
  })
  expect(outer.output).toMatchObject({ shape: [1, 64], data: row(2).input })
  expect(await inner).toMatchObject({ output: { shape: [2, 64], data: f32(128).fill(5) } })
  const own = new RangeError('mine')
  const throwing = {
    get input(): Float32Array {
      throw own
    },
  }
  await expect(echo.infer(throwing)).rejects.toBe(own)
})
