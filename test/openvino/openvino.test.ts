// Models that OpenVINO computes, against the default provider of the same ONNX Runtime and against reference answers.
// A process has one ONNX Runtime, and vitest gives each file a process.
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { load } from '../../src/load/load.js'
import { installedOpenvino } from '../../src/load/openvino-files.js'
import type { Tensor } from '../../src/runtime/tensor.js'
import type { LoadOptions, Model } from '../../src/runtime/types.js'
import type { ReferenceTensor } from '../unit/runtime/reference.js'

const there = installedOpenvino() !== undefined && !process.env.SUBTEN_ONNXRUNTIME_LIB
const MODELS = ['digits', 'mlp', 'digits_int8'] as const
/** Largest difference of a probability or logit; in the quantised model a value may be rounded to the other side. */
const TOLERANCE = { digits: 1e-5, mlp: 1e-4, digits_int8: 0.01 } as const
const MOST = 16

const open = (name: string, options: LoadOptions = {}): Promise<Model> =>
  load(`models/${name}`, { max_batch_size: MOST, executionProviders: ['openvino'], ...options }) as Promise<Model>

/** `rows` rows of numbers between 0 and 1 that differ from row to row. */
function rowsFor(model: Model, rows: number): Record<string, { data: Float32Array; shape: number[] }> {
  const [input] = model.inputs
  if (input === undefined) throw new Error('the model has no input')
  const shape = [rows, ...input.shape.slice(1)]
  const data = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => ((i * 7919) % 1000) / 1000)
  return { [input.name]: { data, shape } }
}

/** The first input and output of the reference answers. */
function referenceOf(name: string): { input: ReferenceTensor; output: ReferenceTensor } {
  const { models } = JSON.parse(readFileSync('test/data/reference.json', 'utf8')) as {
    models: Record<string, { inputs: ReferenceTensor[]; outputs: ReferenceTensor[] }>
  }
  const [input] = models[name]?.inputs ?? []
  const [output] = models[name]?.outputs ?? []
  if (input === undefined || output === undefined) throw new Error(`there is no reference for ${name}`)
  return { input, output }
}

/** `rows` rows of a reference tensor, from the start again where it has fewer. */
function rowsOf({ data, shape }: ReferenceTensor, rows: number): Float32Array {
  const length = shape.slice(1).reduce((a, b) => a * b, 1)
  return Float32Array.from({ length: rows * length }, (_, i) => data[i % data.length] as number)
}

const valuesOf = (outputs: Awaited<ReturnType<Model['infer']>>): number[] =>
  Object.values(outputs).flatMap((tensor) => [...((tensor as Tensor).data as Float32Array)])

const furthest = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  a.length === b.length
    ? Array.from(a).reduce((most, value, i) => Math.max(most, Math.abs(value - (b[i] as number))), 0)
    : Infinity

describe.skipIf(!there)('OpenVINO (npx subten providers install openvino)', () => {
  describe.each(MODELS)('%s', (name) => {
    let model: Model
    beforeAll(async () => {
      model = await open(name)
    })
    afterAll(() => model.close())

    it('is computed by OpenVINO alone, and its metadata say so', () => {
      expect(model.metadata.device).toMatch(/^OpenVINO on CPU, fp32, \d+ threads?, 1 stream$/)
      expect(model.metadata.nodes).toMatch(/^OpenVINOExecutionProvider \d+$/)
      expect(model.metadata['batch sizes']).toBe(`1 to ${MOST} prepared at load`)
    })

    it("answers as ONNX Runtime's Python API did for every batch size, through the queue and past it", async () => {
      const { input, output } = referenceOf(name)
      for (let rows = 1; rows <= MOST; rows++) {
        const inputs = { [input.name]: { data: rowsOf(input, rows), shape: [rows, ...input.shape.slice(1)] } }
        const expected = rowsOf(output, rows)
        expect(furthest(valuesOf(await model.infer(inputs)), expected), `${rows} rows`).toBeLessThan(TOLERANCE[name])
        expect(furthest(valuesOf(model.inferSync(inputs)), expected), `${rows} rows`).toBeLessThan(TOLERANCE[name])
      }
    })
  })

  // Not digits_int8: the CPU provider of this ONNX Runtime (1.24) answers with other numbers in every process for it.
  it.each(['digits', 'mlp'] as const)('answers for %s as the default provider of its ONNX Runtime', async (name) => {
    const model = await open(name)
    const plain = await open(name, { executionProviders: ['cpu'] })
    expect(plain.metadata.device).toBeUndefined()
    for (let rows = 1; rows <= MOST; rows++) {
      const inputs = rowsFor(model, rows)
      const expected = valuesOf(await plain.infer(inputs))
      expect(furthest(valuesOf(await model.infer(inputs)), expected), `${rows} rows`).toBeLessThan(TOLERANCE[name])
    }
    await model.close()
    await plain.close()
  })

  it('computes in several instances at once without mixing answers up', async () => {
    const model = await open('digits', { instance_group: [{ count: 2 }] })
    try {
      expect(model.metadata.device).toMatch(/2 streams$/)
      const inputs = Array.from({ length: 8 }, (_, i) => rowsFor(model, i + 1))
      const alone: number[][] = []
      for (const each of inputs) alone.push(valuesOf(await model.infer(each)))
      const rounds = await Promise.all(
        Array.from({ length: 200 }, async (_, i) =>
          furthest(valuesOf(await model.infer(inputs[i % 8] as never)), alone[i % 8] as number[]),
        ),
      )
      expect(Math.max(...rounds)).toBeLessThan(1e-5)
    } finally {
      await model.close()
    }
  })

  it('is not the ONNX Runtime that onnxruntime-node gets', async () => {
    const model = await open('digits')
    const { default: ort } = await import('onnxruntime-node')
    const session = await ort.InferenceSession.create('models/digits/1/model.onnx')
    const image = new Float32Array(64).fill(0.5)
    const theirs = await session.run({ image: new ort.Tensor('float32', image, [1, 1, 8, 8]) })
    const ours = valuesOf(await model.infer({ image }))
    expect(furthest(ours, theirs.probabilities?.data as Float32Array)).toBeLessThan(1e-5)
    await session.release()
    await model.close()
    // Each is mapped from its own file, although both ask the loader for libonnxruntime.so.1.
    const maps = readFileSync('/proc/self/maps', 'utf8')
    expect(maps).toMatch(/onnxruntime-node\/.*libonnxruntime\.so\.1/)
    expect(maps).toContain('libonnxruntime_providers_openvino.so')
  })

  it('loads and closes twenty times', async () => {
    for (let i = 0; i < 20; i++) {
      const model = await open('digits_int8', { max_batch_size: 2 })
      expect(valuesOf(await model.infer(rowsFor(model, 1)))).toHaveLength(10)
      await model.close()
    }
  })

  it('takes the options of the provider, and tells them', async () => {
    const executionProviders = [{ name: 'openvino', threads: 1, streams: 1, precision: 'accuracy' }] as const
    const model = await open('mlp', { executionProviders })
    expect(model.metadata.device).toBe('OpenVINO on CPU, accuracy, 1 thread, 1 stream')
    await model.close()
  })

  it('refuses an option and a device that OpenVINO does not know, with the cause', async () => {
    const refused = (provider: object): Promise<unknown> =>
      open('digits', { executionProviders: [{ name: 'openvino', ...provider }] as never }).catch((error) => error)
    expect(await refused({ providerOptions: { no_such_option: 1 } })).toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('no_such_option'),
    })
    expect(await refused({ providerOptions: { load_config: '{"CPU":{"NO_SUCH":"1"}}' } })).toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('Unsupported property NO_SUCH'),
    })
    expect(await refused({ device: 'NPU' })).toMatchObject({
      code: 'NOT_SUPPORTED',
      message: expect.stringContaining("no device 'NPU'"),
    })
  })

  it('does not fall back by itself: an operator that it lacks is an error unless the CPU is listed', async () => {
    const path = 'test/data/onnx/identity_bytes.onnx'
    const failure = await load(path, { executionProviders: ['openvino'] }).catch((error) => error)
    expect(failure).toMatchObject({ code: 'NOT_SUPPORTED', message: expect.stringContaining("'cpu'") })
    const model = (await load(path, { executionProviders: ['openvino', 'cpu'] })) as Model
    expect(model.metadata.nodes).toContain('CPUExecutionProvider')
    await model.close()
  })
})
