// Our backend for Triton (native/triton_backend) in the real server, over its HTTP.
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { load, type Model } from '../../src/index.js'
import { root } from './server-process.js'
import { type Answer, type Tensor, TritonProcess, tritonThere } from './triton-process.js'

interface Reference {
  models: Record<string, { cases: { inputs: Tensor[]; outputs?: Tensor[] }[] }>
}
const readJson = <T>(path: string): T => JSON.parse(readFileSync(join(root, path), 'utf8'))
const reference = readJson<Reference>('test/data/onnx/reference.json')
const images = readJson<{ images: number[][] }>('test/data/digits-heldout.json').images.map((pixels) =>
  Float32Array.from(pixels, (value) => value / 16),
)

const script = (name: string) => import(pathToFileURL(join(root, 'scripts', name)).href)

const repository = mkdtempSync(join(tmpdir(), 'subten-triton-'))
afterAll(() => rmSync(repository, { recursive: true, force: true }))

/** A model of test/data/onnx with a configuration of a few lines; Triton completes the rest. */
function add(name: string, file: string, config = ''): void {
  mkdirSync(join(repository, name, '1'), { recursive: true })
  copyFileSync(join(root, file), join(repository, name, '1/model.onnx'))
  writeFileSync(join(repository, name, 'config.pbtxt'), `backend: "subten_onnxruntime"\n${config}`)
}
const onnx = (name: string) => `test/data/onnx/${name}.onnx`
const digits = 'models/digits/1/model.onnx'
const io = (kind: string, name: string, type: string, dims: string, more = '') =>
  `${kind} [ { name: "${name}" data_type: TYPE_${type} dims: ${dims} ${more} } ]\n`
const image = io('input', 'image', 'FP32', '[ 1, 8, 8 ]')
const probabilities = io('output', 'probabilities', 'FP32', '[ 10 ]')

/** Models that fail to load, and what the error says. */
const broken: [name: string, file: string, config: string, message: RegExp][] = [
  ['not_onnx', 'package.json', '', /cannot load the model file .*model\.onnx/],
  ['unsupported', onnx('unsupported_fp8'), '', /The input 'x' of the model has the element type FLOAT8E4M3FN/],
  [
    'wrong_dims',
    digits,
    `max_batch_size: 8\n${image}${io('output', 'probabilities', 'FP32', '[ 12 ]')}`,
    /The output 'probabilities' has dims \[ 12 \] .* the model has \[ 10 \] .*: write dims: \[ 10 \]\./,
  ],
  [
    'wrong_type',
    digits,
    `max_batch_size: 8\n${io('input', 'image', 'FP16', '[ 1, 8, 8 ]')}${probabilities}`,
    /The input 'image' has data_type TYPE_FP16 .* write data_type: TYPE_FP32\./,
  ],
  [
    'wrong_name',
    digits,
    `max_batch_size: 8\n${image}${io('output', 'scores', 'FP32', '[ 10 ]')}`,
    /The output 'scores' of the configuration is not in the model, whose outputs are 'probabilities'/,
  ],
  [
    'not_optional',
    digits,
    `max_batch_size: 8\n${io('input', 'image', 'FP32', '[ 1, 8, 8 ]', 'optional: true')}${probabilities}`,
    /The input 'image' is optional in the configuration, but the model needs it: remove `optional`/,
  ],
  ['fixed', onnx('fixed_batch'), 'max_batch_size: 4\n', /'x' has the shape \[ 4, 2 \].* set max_batch_size: 0/],
  [
    'ragged',
    digits,
    `max_batch_size: 8\n${io('input', 'image', 'FP32', '[ 1, 8, 8 ]', 'allow_ragged_batch: true')}${probabilities}`,
    /The input 'image' sets allow_ragged_batch, which subten_onnxruntime does not serve: remove it/,
  ],
  [
    'bad_parameter',
    digits,
    'parameters: { key: "intra_op_thread_count" value: { string_value: "many" } }\n',
    /The parameter intra_op_thread_count is 'many'; it must be an integer/,
  ],
  [
    'other_library',
    digits,
    'parameters: { key: "onnxruntime_library" value: { string_value: "/nowhere/libonnxruntime.so" } }\n',
    /\/nowhere\/libonnxruntime\.so is wanted, but this server already uses ONNX Runtime/,
  ],
]

const tensor = (name: string, datatype: string, shape: number[], data: unknown[]): Tensor => ({
  name,
  datatype,
  shape,
  data,
})
const digit = (index: number, rows = 1): Tensor =>
  tensor(
    'image',
    'FP32',
    [rows, 1, 8, 8],
    images.slice(index, index + rows).flatMap((pixels) => [...pixels]),
  )
const numbers = (answer: Answer): number[] => answer.outputs[0]?.data as number[]

describe.skipIf(!tritonThere)('subten_onnxruntime in Triton (skipped where .cache/triton is absent)', () => {
  let server: TritonProcess
  let own: Model
  beforeAll(async () => {
    ;(await script('triton-backend.mjs')).placeBackend()
    cpSync(join(root, 'models/digits_triton'), join(repository, 'digits_triton'), { recursive: true })
    add(
      'digits_waiting',
      digits,
      `max_batch_size: 64\n${image}${probabilities}
       dynamic_batching { preferred_batch_size: [ 16 ] max_queue_delay_microseconds: 2000000 }`,
    )
    for (const name of ['identity_bytes', 'two_in_two_out', 'nonzero', 'sum_rows', 'scalar', 'present_strings']) {
      add(name, onnx(name))
    }
    const together =
      'max_batch_size: 8\ndynamic_batching { preferred_batch_size: [ 4 ] max_queue_delay_microseconds: 2000000 }\n'
    add('words', onnx('identity_bytes'), together)
    add('fails_at_run', onnx('fails_at_run'), together)
    add(
      'optional_input',
      onnx('optional_input'),
      `input [ { name: "x" data_type: TYPE_FP32 dims: [ -1 ] }, { name: "factor" data_type: TYPE_FP32 dims: [ 1 ] optional: true } ]
       ${io('output', 'y', 'FP32', '[ -1 ]')}`,
    )
    add('on_gpu', digits, 'instance_group [ { kind: KIND_GPU gpus: [ 0 ] } ]\n')
    for (const [name, file, config] of broken) add(name, file, config)
    server = await TritonProcess.start(repository)
    own = await load(join(root, 'models/digits'))
  }, 60_000)
  afterAll(async () => {
    await own?.close()
    expect(await server?.stop()).toBe(0)
  })

  it('gives the bytes that subten gives itself, for single requests', async () => {
    for (const pixels of images.slice(0, 20)) {
      const { probabilities } = await own.infer({ image: pixels })
      const data = probabilities?.data as Float32Array
      const bytes = await server.inferBytes('digits_triton', 'image', [1, 1, 8, 8], pixels, 'probabilities')
      expect(bytes).toEqual(Buffer.from(data.buffer, data.byteOffset, data.byteLength))
    }
  })

  it('serves the very model of models/digits', () => {
    expect(readFileSync(join(root, 'models/digits_triton/1/model.onnx'))).toEqual(readFileSync(join(root, digits)))
  })

  it('answers each of many requests at once, of one row and several, with its own rows', async () => {
    const sent = Array.from({ length: 200 }, (_, i) => ({ first: i, rows: 1 + (i % 4) }))
    const answers = await Promise.all(
      sent.map(({ first, rows }) => server.infer('digits_triton', [digit(first, rows)])),
    )
    for (const [i, { first, rows }] of sent.entries()) {
      const answer = answers[i] as Answer
      expect(answer.outputs[0]?.shape).toEqual([rows, 10])
      for (let row = 0; row < rows; row++) {
        const { probabilities } = await own.infer({ image: images[first + row] as Float32Array })
        const expected = probabilities?.data as Float32Array
        for (let k = 0; k < 10; k++) expect(numbers(answer)[row * 10 + k]).toBeCloseTo(expected[k] as number, 4)
      }
    }
  })

  it('runs the requests that Triton batches once, and says so in the statistics', async () => {
    const answers = await Promise.all(Array.from({ length: 16 }, (_, i) => server.infer('digits_waiting', [digit(i)])))
    expect(answers.map(({ status }) => status)).toEqual(Array(16).fill(200))
    await expect
      .poll(async () => (await server.get('models/digits_waiting/stats')).model_stats[0])
      .toMatchObject({
        inference_count: 16,
        execution_count: 1,
        inference_stats: { success: { count: 16 }, fail: { count: 0 } },
        batch_stats: [{ batch_size: 16 }],
      })
  })

  it('completes the configuration of a model that can batch, and of one that cannot', async () => {
    expect(await server.get('models/identity_bytes/config')).toMatchObject({
      max_batch_size: 4,
      dynamic_batching: {},
      input: [{ name: 'x', data_type: 'TYPE_STRING', dims: [3] }],
      output: [{ name: 'y', data_type: 'TYPE_STRING', dims: [3] }],
    })
    expect(await server.get('models/nonzero/config')).toMatchObject({
      max_batch_size: 0,
      input: [{ name: 'x', data_type: 'TYPE_FP32', dims: [-1] }],
      output: [{ name: 'indices', data_type: 'TYPE_INT64', dims: [1, -1] }],
    })
  })

  it.each(['nonzero', 'sum_rows', 'identity_bytes'])('%s gives what ONNX Runtime gives in Python', async (name) => {
    const { cases } = reference.models[`${name}.onnx`] as Reference['models'][string]
    for (const { inputs, outputs } of cases) {
      if (!outputs || inputs.some(({ shape }) => shape.includes(0))) continue
      const answer = await server.infer(name, inputs)
      for (const [i, output] of outputs.entries()) {
        expect(answer.outputs[i]).toMatchObject({ shape: output.shape })
        expect(answer.outputs[i]?.data.map(String)).toEqual(output.data.map(String))
      }
    }
  })

  it('takes a tensor without dimensions as one element', async () => {
    const answer = await server.infer('scalar', [tensor('x', 'FP32', [1], [41.5])])
    expect(answer.outputs).toMatchObject([{ name: 'y', shape: [1], data: [42.5] }])
  })

  it('uses the initializer of an optional input that a request leaves out', async () => {
    const x = tensor('x', 'FP32', [2], [1, 2])
    expect(numbers(await server.infer('optional_input', [x]))).toEqual([10, 20])
    expect(numbers(await server.infer('optional_input', [x, tensor('factor', 'FP32', [1], [3])]))).toEqual([3, 6])
  })

  it('gives the outputs that are asked for alone', async () => {
    const inputs = [tensor('value', 'FP32', [2, 1], [1.5, -2]), tensor('count', 'INT32', [2, 1], [2, 3])]
    const all = await server.infer('two_in_two_out', inputs)
    expect(all.outputs.map(({ name }) => name).sort()).toEqual(['above', 'product'])
    const one = await server.infer('two_in_two_out', inputs, ['product'])
    expect(one.outputs).toMatchObject([{ name: 'product', shape: [2, 1], data: [3, -6] }])
  })

  it('shares strings of any length out to their requests', async () => {
    const texts = (i: number) => [`${i}`, 'ü'.repeat(i * 7), '']
    const answers = await Promise.all(
      [1, 2, 3, 4].map((i) => server.infer('words', [tensor('x', 'BYTES', [1, 3], texts(i))])),
    )
    for (const [i, answer] of answers.entries()) {
      expect(answer.outputs).toMatchObject([{ shape: [1, 3], data: texts(i + 1) }])
    }
  })

  it('fails the request that the model fails on, and not those in its batch', async () => {
    const answers = await Promise.all(
      [2, 0, 7, 1].map((index) => server.infer('fails_at_run', [tensor('index', 'INT64', [1, 1], [index])])),
    )
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 500, 200])
    expect(answers.map(numbers)).toEqual([[30], [10], undefined, [20]])
    expect(answers[2]?.error).toContain('ONNX Runtime failed to run the model')
  })

  it('fails a model whose output has no rows of its own, and says what to set', async () => {
    const answer = await server.infer('present_strings', [
      tensor('words', 'BYTES', [3, 1], ['a', '', 'ü']),
      tensor('keep', 'BOOL', [3, 1], [true, false, true]),
    ])
    expect(answer.status).toBe(500)
    expect(answer.error).toMatch(/The output 'kept' has 2 rows for a batch of 3: .* set max_batch_size: 0/)
  })

  it.each([
    ['a wrong shape', tensor('image', 'FP32', [1, 1, 8, 7], Array(56).fill(0)), /unexpected shape for input 'image'/],
    ['too many rows', digit(0, 65), /batch-size must be <= 64/],
    ['a wrong name', tensor('picture', 'FP32', [1, 1, 8, 8], Array(64).fill(0)), /picture/],
  ])('refuses %s and serves on', async (_, input, message) => {
    const answer = await server.infer('digits_triton', [input])
    expect(answer.status).toBe(400)
    expect(answer.error).toMatch(message)
    expect((await server.infer('digits_triton', [digit(0)])).status).toBe(200)
  })

  it.each(broken)('does not load %s, and says why', async (name, _file, _config, message) => {
    const state = (await server.index()).find((each) => each.name === name)
    expect(state?.state).toBe('UNAVAILABLE')
    expect(state?.reason.replaceAll('\n', ' ')).toMatch(message)
  })

  it('does not load a model for a GPU that is not there', async () => {
    const state = (await server.index()).find(({ name }) => name === 'on_gpu')
    expect(state).toMatchObject({ state: 'UNAVAILABLE' })
  })
})

describe('placeBackend', () => {
  const there = process.platform === 'linux'

  it.skipIf(!there)(
    'puts the backend into a Triton, with ONNX Runtime beside it, and leaves it when it is the same',
    async () => {
      const { placeBackend } = await script('triton-backend.mjs')
      const folder = mkdtempSync(join(tmpdir(), 'subten-placed-'))
      try {
        const placed = placeBackend(folder)
        expect(placed).toBe(join(folder, 'backends/subten_onnxruntime/libtriton_subten_onnxruntime.so'))
        expect(existsSync(join(folder, 'backends/subten_onnxruntime/libsubten_onnxruntime.so.1'))).toBe(true)
        const { ino } = statSync(placed)
        placeBackend(folder)
        expect(statSync(placed).ino).toBe(ino)
      } finally {
        rmSync(folder, { recursive: true, force: true })
      }
    },
  )

  it('does nothing where there is no Triton', async () => {
    const { placeBackend } = await script('triton-backend.mjs')
    expect(placeBackend(join(repository, 'nowhere'))).toBeUndefined()
  })
})
