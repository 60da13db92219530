import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { load } from '../../../src/load/load.js'
import type { NativeAddon, NativeModelHandle } from '../../../src/runtime/binding.js'
import type { LoadOptions, Model, TritonOptions } from '../../../src/runtime/types.js'
import { rejection } from '../repository/thrown.js'
import { closedAfter, modelDirectory } from '../runtime/loaded.js'

/** What the fake Triton was asked, and what it answers. */
const fake = vi.hoisted(() => ({
  opened: [] as { engine: string; libraryPath: string; settings: Record<string, string> }[],
  ports: [] as Record<string, unknown>[],
  completed: {} as object,
  metadata: {} as Record<string, string>,
}))

// Triton's part is played by the null engine.
vi.mock('../../../src/runtime/binding.js', async (original) => {
  const real = await original<typeof import('../../../src/runtime/binding.js')>()
  const openModel = async (options: object): Promise<object> => {
    const { settings, ...rest } = options as { settings: [string, string][] } & Record<string, unknown>
    fake.opened.push({ ...rest, settings: Object.fromEntries(settings ?? []) } as never)
    const handle = (await real.addon().openModel({ ...rest, engine: 'null', libraryPath: '' })) as NativeModelHandle
    return {
      ...handle,
      metadata: { config: JSON.stringify(fake.completed), 'triton core': '2.51.0', ...fake.metadata },
    }
  }
  const createPort = (handle: object, options: object, onWake: () => void): object => {
    fake.ports.push(options as Record<string, unknown>)
    return real.addon().createPort(handle, { ...options, instances: 1 }, onWake)
  }
  return { ...real, addon: (): NativeAddon => ({ ...real.addon(), openModel, createPort }) as NativeAddon }
})

let tree = ''
beforeEach(async () => {
  tree = await mkdtemp(join(tmpdir(), 'subten-triton-'))
  for (const folder of ['lib', 'backends/python', 'caches', 'python'])
    await mkdir(join(tree, folder), { recursive: true })
  await writeFile(join(tree, 'lib/libtritonserver.so'), '')
  vi.stubEnv('TRITON_SERVER_LIB', join(tree, 'lib/libtritonserver.so'))
  fake.opened.length = fake.ports.length = 0
  fake.completed = {}
  fake.metadata = {}
})
afterEach(async () => {
  vi.unstubAllEnvs()
  await rm(tree, { recursive: true, force: true })
})

const io = `
  input [{ name: "x" data_type: TYPE_FP32 dims: [ 4 ] }]
  output [{ name: "y" data_type: TYPE_FP32 dims: [ 4 ] }]`

/** A model of the Python backend, loaded; with the settings that Triton got. */
async function python(
  config: string,
  options: LoadOptions = {},
): Promise<{ model: Model; settings: Record<string, string> }> {
  const directory = await modelDirectory('mine', `backend: "python"\n${io}\n${config}`, { '1/model.py': '' })
  const model = closedAfter((await load(directory, options)) as Model)
  return { model, settings: fake.opened[0]?.settings ?? {} }
}

describe('what Triton is asked for', () => {
  it('is the model in its repository, with the tree around the library, and no configuration of ours', async () => {
    const { model, settings } = await python('max_batch_size: 8')
    expect(fake.opened[0]).toMatchObject({ engine: 'triton', libraryPath: join(tree, 'lib/libtritonserver.so') })
    expect(settings).toMatchObject({ model: 'mine', version: '', config: '', batching: 'subten' })
    expect(basename(settings.repository ?? '')).toMatch(/^subten-/)
    expect(settings).toMatchObject({
      backend_directory: join(tree, 'lib/../backends'),
      cache_directory: join(tree, 'lib/../caches'),
    })
    // The stub of the tree finds its own.
    expect(settings).not.toHaveProperty('python')
    expect(model).toMatchObject({ engine: 'triton', version: '1', metadata: { 'triton core': '2.51.0' } })
    expect(model.metadata).not.toHaveProperty('config')
  })

  it('is every option of the server that was given', async () => {
    const triton: TritonOptions = {
      control: 'poll',
      backendDirectory: tree,
      logLevel: 'verbose',
      rateLimiter: 'execution_count',
      cache: { name: 'local', settings: { size: 1048576 } },
      cacheDirectory: tree,
      modelLoadThreads: 3,
      strictConfig: true,
      exitTimeoutSeconds: 7,
      python: tree,
      backendConfig: { python: { 'shm-default-byte-size': 5 }, '': { 'min-compute-capability': '6.0' } },
    }
    const { settings } = await python('', { triton })
    expect(settings).toMatchObject({
      control: 'poll',
      backend_directory: tree,
      log_level: 'verbose',
      rate_limiter: 'execution_count',
      cache: 'local,size=1048576',
      cache_directory: tree,
      model_load_threads: '3',
      strict_config: 'true',
      exit_timeout_s: '7',
      python: tree,
      backend_config: 'python,shm-default-byte-size=5\n,min-compute-capability=6.0',
    })
  })

  it('is a configuration without dynamic_batching where subten batches', async () => {
    const batching = 'dynamic_batching { max_queue_delay_microseconds: 300 preferred_batch_size: [ 4 ] }'
    fake.completed = { max_batch_size: 8, instance_group: [{ count: 2, kind: 'KIND_CPU' }, { count: 3 }] }
    const { model, settings } = await python(`max_batch_size: 8 ${batching}`)
    const config = JSON.parse(settings.config ?? '')
    expect(config).toMatchObject({ name: 'mine', backend: 'python', max_batch_size: 8 })
    expect(config).not.toHaveProperty('dynamic_batching')
    expect(fake.ports[0]).toMatchObject({ dynamic: true, maxQueueDelayUs: 300, preferred: [4], instances: 5 })
    expect(model.maxBatchSize).toBe(8)
  })

  it('leaves dynamic_batching to Triton where the user says so, whose requests go alone', async () => {
    fake.completed = { max_batch_size: 8, dynamic_batching: {}, instance_group: [{ count: 2 }] }
    const { settings } = await python('max_batch_size: 8 dynamic_batching { max_queue_delay_microseconds: 300 }', {
      triton: { batching: 'triton' },
      maxQueueSize: 100,
    })
    expect(settings).toMatchObject({ config: '', batching: 'triton' })
    expect(fake.ports[0]).toMatchObject({ dynamic: false, maxQueueDelayUs: 0, instances: 100, maxBatchSize: 8 })
  })

  it.each([
    ['sequence_batching { }', false],
    ['model_transaction_policy { decoupled: true }', true],
    ['response_cache { enable: true }', false],
    [
      'max_batch_size: 4 batch_input [{ kind: BATCH_ELEMENT_COUNT target_name: "n" data_type: TYPE_INT32 source_input: "x" }]',
      false,
    ],
  ])('leaves %s to Triton', async (config, decoupled) => {
    fake.completed = { max_batch_size: config.includes('batch_size') ? 4 : 0 }
    const { model, settings } = await python(config)
    expect(settings.batching).toBe('triton')
    expect(fake.ports[0]).toMatchObject({ dynamic: false, instances: 512, decoupled })
    expect(model.decoupled).toBe(decoupled)
    const error = await rejection(python(config, { triton: { batching: 'subten' } }))
    expect(error).toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringMatching(/config\.pbtxt:\d+: .*triton\.batching/),
    })
  })

  it('is decoupled where Triton says so', async () => {
    fake.metadata = { decoupled: 'true', version: '3' }
    const { model } = await python('')
    expect(model).toMatchObject({ decoupled: true, version: '3' })
    expect(fake.ports[0]).toMatchObject({ decoupled: true, instances: 512 })
    // The null engine answers with one part, in its place.
    const parts = []
    for await (const part of model.stream({ x: new Float32Array(4) })) parts.push(part)
    expect(parts).toHaveLength(1)
  })

  it('is the whole configuration, where options change settings', async () => {
    fake.completed = { max_batch_size: 2 }
    const { settings } = await python('max_batch_size: 8', { max_batch_size: 2, parameters: { a: 1 } })
    expect(JSON.parse(settings.config ?? '')).toMatchObject({
      max_batch_size: 2,
      parameters: { a: { string_value: '1' } },
      input: [{ name: 'x', data_type: 'TYPE_FP32', dims: [4] }],
    })
  })

  it('has no settings of ours among the parameters', async () => {
    fake.completed = { max_batch_size: 8 }
    const parameters = { a: 1, 'subten.weight': 2, 'subten.slo': { p99Ms: 5 } }
    const { model, settings } = await python('max_batch_size: 8', { parameters, latencyCache: false })
    expect(JSON.parse(settings.config ?? '').parameters).toEqual({ a: { string_value: '1' } })
    expect(fake.ports[0]).toMatchObject({ sloNs: 5e6, weight: 2, dynamic: true })
    expect(model.slo).toEqual({ p99Ms: 5 })
  })

  it('cannot be scheduled by deadline where Triton batches', async () => {
    fake.completed = { max_batch_size: 8 }
    const error = await rejection(python('max_batch_size: 8', { slo: { p99Ms: 5 }, triton: { batching: 'triton' } }))
    expect(error).toMatchObject({ code: 'NOT_SUPPORTED', details: { field: 'slo' } })
    expect(error.message).toMatch(/^options: slo: the scheduler of triton/)
  })

  it('is a version that the policy does not serve, by another policy', async () => {
    const directory = await modelDirectory('mine', `backend: "python"\n${io}`, { '1/model.py': '', '2/model.py': '' })
    closedAfter((await load(directory, { version: 1 })) as Model)
    closedAfter((await load(directory, { version: 2 })) as Model)
    expect(JSON.parse(fake.opened[0]?.settings.config ?? '')).toMatchObject({
      version_policy: { specific: { versions: [1] } },
    })
    expect(fake.opened[0]?.settings.version).toBe('1')
    expect(fake.opened[1]?.settings).toMatchObject({ version: '2', config: '' })
  })
})

describe('an ONNX model', () => {
  it('goes to our backend where Triton has none for it', async () => {
    const directory = await modelDirectory('onnx', `backend: "onnxruntime"\n${io}`, { '1/model.onnx': '' })
    closedAfter((await load(directory, { engine: 'triton' })) as Model)
    expect(JSON.parse(fake.opened[0]?.settings.config ?? '')).toMatchObject({
      backend: 'subten_onnxruntime',
      default_model_filename: 'model.onnx',
    })
  })

  it('stays with the backend of Triton where it is there', async () => {
    await mkdir(join(tree, 'backends/onnxruntime'))
    const directory = await modelDirectory('onnx', `platform: "onnxruntime_onnx"\n${io}`, { '1/model.onnx': '' })
    closedAfter((await load(directory, { engine: 'triton' })) as Model)
    expect(fake.opened[0]?.settings.config).toBe('')
  })

  it('that lies alone is NOT_SUPPORTED', async () => {
    const error = await rejection(load('models/digits/1/model.onnx', { engine: 'triton' }))
    expect(error).toMatchObject({ code: 'NOT_SUPPORTED', remedy: expect.stringContaining('MODEL/1/model.onnx') })
  })
})

it('instances on several GPUs are counted for each, and reshaped inputs stay as a client sends them', async () => {
  fake.completed = { max_batch_size: 4, instance_group: [{ count: 2, kind: 'KIND_GPU', gpus: [0, 1] }] }
  const config = `backend: "python" max_batch_size: 4
    input [{ name: "x" data_type: TYPE_FP32 dims: [ 4 ] }]
    output [{ name: "y" data_type: TYPE_FP32 dims: [ 4 ] }]`
  closedAfter((await load(await modelDirectory('gpu', config, { '1/model.py': '' }))) as Model)
  expect(fake.ports[0]).toMatchObject({ instances: 4 })
})

it('a library that is nowhere is ENGINE_NOT_FOUND, with where it was looked for and what to do', async () => {
  vi.stubEnv('TRITON_SERVER_LIB', '/nowhere/libtritonserver.so')
  const error = await rejection(python(''))
  expect(error).toMatchObject({ code: 'ENGINE_NOT_FOUND', remedy: expect.stringContaining('npm run triton:install') })
  expect(error.message).toContain('/nowhere/libtritonserver.so')
  expect(error.remedy).toContain('TRITON_SERVER_LIB')
  const other = join(dirname(tree), 'other.so')
  expect((await rejection(load('models/mlp', { engine: 'triton', engineLibrary: other }))).message).toContain(other)
})

it.each<[unknown, RegExp]>([
  [5, /^options: triton: must be an object, not 5/],
  [null, /^options: triton: must be an object/],
  [{ batch: 1 }, /^options: triton\.batch: is no option; the options are batching/],
  [{ batching: 'both' }, /^options: triton\.batching: must be 'subten' or 'triton', not "both"/],
  [{ control: 'auto' }, /triton\.control/],
  [{ logLevel: 3 }, /triton\.logLevel/],
  [{ rateLimiter: true }, /triton\.rateLimiter/],
  [{ backendDirectory: '/nowhere/at/all' }, /triton\.backendDirectory: there is nothing at/],
  [{ python: '' }, /triton\.python/],
  [{ cacheDirectory: 'a\nb' }, /triton\.cacheDirectory/],
  [{ modelLoadThreads: 0 }, /triton\.modelLoadThreads/],
  [{ exitTimeoutSeconds: -1 }, /triton\.exitTimeoutSeconds/],
  [{ strictConfig: 'yes' }, /triton\.strictConfig/],
  [{ cache: 'local' }, /triton\.cache/],
  [{ cache: { name: 'a b', settings: { size: 1 } } }, /triton\.cache\.name/],
  [{ cache: { name: 'local' } }, /triton\.cache\.settings/],
  [{ cache: { name: 'local', settings: { size: 'a\nb' } } }, /triton\.cache\.settings\.size/],
  [{ backendConfig: { python: 5 } }, /triton\.backendConfig\.python/],
  [{ backendConfig: { python: { 'a b': 1 } } }, /triton\.backendConfig\.python\.a b/],
])('the option triton: %j is CONFIG_INVALID, naming the field, whatever the engine', async (triton, message) => {
  for (const path of ['models/mlp', 'models/echo']) {
    const error = await rejection(load(path, { triton: triton as TritonOptions }))
    expect(error.code).toBe('CONFIG_INVALID')
    expect(error.message).toMatch(message)
  }
})
