import { appendFile, cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { load } from '../../../src/index.js'
import { candidate, loadOptionsOf } from '../../../src/optimize/candidate.js'
import { configFileOf, givenSettings } from '../../../src/optimize/config-file.js'
import type { ChildRequest } from '../../../src/optimize/measure-child.js'
import { ChildFailure } from '../../../src/optimize/measure-process.js'
import type { OptimizeOptions, OptimizeWorld } from '../../../src/optimize/options.js'
import { optimize } from '../../../src/optimize/run.js'
import type { AccuracyFigures, Batching, Figures, TrialFigures } from '../../../src/optimize/types.js'
import { optimizeHtml } from '../../../src/report/optimize-html.js'
import { optimizeMarkdown } from '../../../src/report/optimize-markdown.js'
import { readConfigFile } from '../../../src/repository/config-text.js'
import { fakeModel } from '../../../src/testing.js'

const CONFIG = `# A comment.
name: "net"
backend: "subten_null"
max_batch_size: 16
input [ { name: "x" data_type: TYPE_FP32 dims: [ 4 ] } ]
output [ { name: "y" data_type: TYPE_FP32 dims: [ 4 ] } ]
instance_group [ { count: 3 kind: KIND_CPU } ]
dynamic_batching { preferred_batch_size: [ 4, 16 ] max_queue_delay_microseconds: 9 priority_levels: 2 default_priority_level: 1 }
parameters { key: "busy_us" value: { string_value: "7" } }
parameters { key: "subten.weight" value: { string_value: "2" } }
`
const variantConfig = (name: string) =>
  `${CONFIG.replace('"net"', `"${name}"`)}parameters { key: "subten.quantization" value: { string_value: "{\\"from\\":\\"net\\",\\"precision\\":\\"INT8\\"}" } }\n`

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'subten-optimize-'))
  for (const [name, config] of [
    ['net', CONFIG],
    ['net_int8', variantConfig('net_int8')],
    ['net_bad', variantConfig('net_bad')],
    ['other', CONFIG.replace('"net"', '"other"')],
  ] as const) {
    await mkdir(join(folder, name, '1'), { recursive: true })
    await writeFile(join(folder, name, 'config.pbtxt'), config)
  }
  await writeFile(join(folder, 'net', '1', 'weights'), 'abc')
})
afterEach(() => rm(folder, { recursive: true }))

const options = (more: Partial<OptimizeOptions> = {}): OptimizeOptions => ({
  model: join(folder, 'net'),
  limitUs: 20_000,
  data: 'heldout.npz',
  accuracyDrop: 1,
  batches: [1, 8],
  delays: ['off', 0],
  instances: [1, 2],
  budgetSeconds: 60,
  seconds: 2,
  repeats: 3,
  seed: 1,
  shapes: {},
  state: join(folder, 'state'),
  fresh: false,
  resume: false,
  ...more,
})

interface Fake extends OptimizeWorld {
  readonly asked: string[]
  readonly said: string[]
}

interface FakeOptions {
  /** The difference in top-1 of each variant. */
  readonly differences?: Readonly<Record<string, number>>
  readonly speed?: Readonly<Record<string, number>>
  /** Stops after so many measurements, as Ctrl-C would. */
  readonly stopAfter?: number
  readonly fails?: (request: ChildRequest) => string | undefined
}

/** Answers as processes would, from formulas: batching multiplies by 1.4, a second instance by 1.2. */
function world({
  differences = { net_int8: -0.002, net_bad: -0.05 },
  speed = { net_int8: 2, net_bad: 3 },
  stopAfter = Number.POSITIVE_INFINITY,
  fails,
}: FakeOptions = {}): Fake {
  const asked: string[] = []
  const said: string[] = []
  const controller = new AbortController()
  const answer = (request: ChildRequest): AccuracyFigures | TrialFigures | Figures => {
    const failed = fails?.(request)
    if (failed !== undefined) throw new ChildFailure(failed)
    const name = /[^/]+$/.exec(request.model.path)?.[0] ?? ''
    if (request.kind === 'accuracy') return accuracy(name, differences[name] ?? 0, request.against !== undefined)
    const { max_batch_size: rows, instance_group: groups } = request.model.options as {
      max_batch_size?: number
      instance_group: [{ count: number }]
    }
    const own = 100 * (speed[name] ?? 1) * (rows === undefined ? 1 : 1.4) * (groups[0].count > 1 ? 1.2 : 1)
    const noise = request.kind === 'capacity' ? 1 + 0.002 * ((request.budget.repeat % 3) - 1) : 1
    if (request.kind === 'rate') return trial(request.rate, request.rate < own ? 12_000 : 90_000)
    return {
      capacity: own * noise,
      trials: [trial(own / 2, 5000), trial(own, 20_000), trial(own * 1.2, 80_000)],
      aloneUs: 5000 / (speed[name] ?? 1),
      cpuUs: 4000,
      peakRssMb: 90,
      seconds: 3,
      meanBatch: 3,
    }
  }
  return {
    asked,
    said,
    machine: { cpu: 'a CPU', cpus: 2, memoryGiB: 8, os: 'Linux', node: 'v20', subten: '0' },
    engines: new Set(['null']),
    load: async () => fakeModel({ maxBatchSize: 16, inputs: [], outputs: [] }),
    openData: async () => ({ count: 2000, labels: new Int32Array(1), sha256: 'ab'.repeat(32) }),
    say: (text) => said.push(text),
    signal: controller.signal,
    async ask(request) {
      if (asked.length >= stopAfter) {
        controller.abort(new Error('stopped'))
        throw controller.signal.reason
      }
      asked.push(
        `${request.kind} ${request.model.path} ${JSON.stringify(request.model.options)} ${'budget' in request ? `${request.budget.rung}/${request.budget.repeat}` : ''}${'use' in request ? request.use : ''}`,
      )
      return answer(request) as never
    },
  }
}

function trial(rate: number, p99Us: number): TrialFigures {
  return {
    rate,
    seconds: 2,
    sent: 1000,
    succeeded: 1000,
    p50Us: p99Us / 3,
    p95Us: p99Us / 1.2,
    p99Us,
    p999Us: p99Us * 1.2,
    throughput: rate,
    goodput: rate,
    cpuUs: 4000,
  }
}

function accuracy(model: string, difference: number, compared: boolean): AccuracyFigures {
  const value = 0.96 + difference
  return {
    model,
    engine: 'null',
    rows: 2000,
    classes: 48,
    top1: { value, low: value - 0.008, high: value + 0.008 },
    top5: { value: 0.99, low: 0.985, high: 0.995 },
    ...(compared
      ? {
          against: {
            model: 'net',
            difference: { value: difference, low: difference - 0.004, high: difference + 0.004 },
            agreement: { value: 0.98, low: 0.97, high: 0.985 },
            outputs: { maxAbs: 0.3, meanAbs: 0.01, cosine: 0.999 },
          },
        }
      : {}),
  }
}

describe('a search', () => {
  it('recommends the variant that holds the floor, refuses the one that does not, and says what buys what', async () => {
    const fake = world()
    const { report, recommended } = await optimize(options(), fake)
    expect(report.recommendation?.candidate).toMatchObject({
      variant: 'net_int8',
      instances: 2,
      batching: { kind: 'static', maxBatch: 8 },
    })
    expect(recommended?.name).toBe('net_int8')
    expect(report.variants.map(({ variant }) => variant)).toEqual(['net', 'net_bad', 'net_int8'])
    expect(report.variants[1]?.refused).toMatch(/−5 points.*surely more than the 1 point/)
    expect(report.results.filter(({ candidate: { variant } }) => variant === 'net_bad')).toHaveLength(1)
    expect(report.baseline?.id).toBe('net null off i2')
    expect(report.gain?.ratio.value).toBeCloseTo(2.8, 1)
    expect(report.recommendation?.verified).toMatchObject({ kept: 3 })
    expect(report.sentences.first.join()).toMatch(/^Take INT8 first/)
    expect(report.sentences.batching.join()).toContain('At FP32, batching multiplies the capacity by 1.40×')
    expect(report.sentences.quantisation.join()).toContain('net_bad is refused')
    expect(report.search.spentSeconds).toBeGreaterThanOrEqual(0)
    for (const text of [optimizeHtml(report), optimizeMarkdown(report)]) {
      expect(text.replace(/<script[\s\S]*/, '')).not.toMatch(/NaN|undefined|Infinity/)
    }
  })

  it('stopped after any measurement, goes on and measures nothing twice, to the same end', async () => {
    const whole = world()
    const { report } = await optimize(options({ state: join(folder, 'whole') }), whole)
    const all = whole.asked.length
    for (const stopAfter of [0, 1, 4, 9, all - 1]) {
      const state = join(folder, `stopped-${stopAfter}`)
      const first = world({ stopAfter })
      await expect(optimize(options({ state }), first)).rejects.toThrow('stopped')
      const second = world()
      const resumed = await optimize(options({ state }), second)
      const strip = (asked: readonly string[]) => asked.map((each) => each.replaceAll(/"latencyCache":"[^"]*"/g, ''))
      expect(strip([...first.asked, ...second.asked])).toEqual(strip(whole.asked))
      expect(resumed.report.recommendation).toEqual(report.recommendation)
      expect(resumed.report.results).toEqual(report.results)
      if (stopAfter > 0) expect(second.said[0]).toContain(`${stopAfter} measurement`)
    }
  })

  it('begins anew where a model changed, and says so; with resume it refuses', async () => {
    await optimize(options(), world())
    await appendFile(join(folder, 'net', '1', 'weights'), 'd')
    await expect(optimize(options({ resume: true }), world())).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('a model changed'),
    })
    const fake = world()
    await optimize(options(), fake)
    expect(fake.said[0]).toContain('beginning anew, since a model changed')
    expect(fake.asked.length).toBeGreaterThan(10)
  })

  it('asks nothing again of a search that is finished, unless it is told to', async () => {
    await optimize(options(), world())
    const again = world()
    await optimize(options({ resume: true }), again)
    expect(again.asked).toEqual([])
    const fresh = world()
    await optimize(options({ fresh: true }), fresh)
    expect(fresh.asked.length).toBeGreaterThan(10)
  })

  it('refuses a variant that is slower, and takes the model', async () => {
    const { report } = await optimize(options({ variants: ['net_int8'] }), world({ speed: { net_int8: 0.7 } }))
    expect(report.recommendation?.candidate.variant).toBe('net')
    expect(report.variants[1]?.refused).toMatch(/slower here: its best setting has 0\.70×/)
  })

  it('recommends no variant without data', async () => {
    const { data: _, ...rest } = options()
    const { report } = await optimize(rest, world())
    expect(report.recommendation?.candidate.variant).toBe('net')
    expect(report.variants[2]?.refused).toContain('--data')
    expect(report.notes.join()).toContain('Accuracy was not measured')
  })

  it('drops a setting whose process fails, and recommends nothing where all do', async () => {
    const some = await optimize(
      options(),
      world({
        fails: (request) =>
          request.kind === 'capacity' && 'max_batch_size' in request.model.options ? 'it crashed' : undefined,
      }),
    )
    expect(some.report.recommendation?.candidate.batching.kind).toBe('off')
    expect(
      some.report.results.find(({ candidate: { batching } }) => batching.kind === 'static')?.dropped ?? 'a finalist',
    ).toMatch(/it crashed|finalist/)
    const none = await optimize(
      options({ state: join(folder, 'none') }),
      world({ fails: (request) => (request.kind === 'capacity' ? 'it crashed' : undefined) }),
    )
    expect(none.report.recommendation).toBeUndefined()
    expect(optimizeHtml(none.report)).toContain('No setting keeps p99 within 20 ms')
  })

  it('says what leaves nothing to measure', async () => {
    await expect(optimize(options({ engines: ['triton'] }), world())).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('net on triton'),
    })
  })
})

describe('the written configuration', () => {
  it('names the backend of Triton where an ONNX model was measured there', async () => {
    const document = await readConfigFile(join('models', 'digits', 'config.pbtxt'))
    if (document === undefined) throw new Error('no configuration')
    const one = { variant: 'digits', batching: { kind: 'off' } as const, instances: 1, threads: 1 }
    const on = (engine: string): string => configFileOf(document, candidate({ ...one, engine }), 20_000, [])
    expect(on('triton')).toContain('backend: "subten_onnxruntime"')
    expect(on('onnxruntime')).toContain('backend: "onnxruntime"')
  })

  const settings: readonly Batching[] = [
    { kind: 'off' },
    { kind: 'static', maxBatch: 8, delayUs: 1500 },
    { kind: 'slo', maxBatch: 16 },
  ]
  it.each(settings)('loads unchanged, is the setting that was measured, and keeps the rest: %j', async (batching) => {
    const document = await readConfigFile(join(folder, 'net', 'config.pbtxt'))
    if (document === undefined) throw new Error('no configuration')
    const one = candidate({ variant: 'net', engine: 'null', batching, instances: 2, threads: 0 })
    const text = configFileOf(document, one, 20_000, ['Two\nlines.'])
    expect(text).toMatch(/^# net \(null\): .*\n# Two lines\.\n/)
    await cp(join(folder, 'net'), join(folder, 'written', 'net'), { recursive: true })
    await writeFile(join(folder, 'written', 'net', 'config.pbtxt'), text)
    const written = await load(join(folder, 'written', 'net'))
    const measured = await load(join(folder, 'net'), loadOptionsOf(one, 20_000, givenSettings(document)))
    try {
      expect(written.config).toEqual(measured.config)
      expect(written.maxBatchSize).toBe(batching.kind === 'off' ? 16 : batching.maxBatch)
      expect(written.config).toMatchObject({
        instance_group: [{ count: 2, kind: 'KIND_CPU' }],
        parameters: { busy_us: { string_value: '7' }, 'subten.weight': { string_value: '2' } },
      })
      const { dynamic_batching: found } = written.config as { dynamic_batching?: Record<string, unknown> }
      if (batching.kind === 'off') expect(found).toBeUndefined()
      else
        expect(found).toMatchObject({
          max_queue_delay_microseconds: batching.kind === 'static' ? 1500 : 0,
          priority_levels: 2,
          preferred_batch_size: batching.maxBatch === 8 ? [4] : [4, 16],
        })
    } finally {
      await written.close()
      await measured.close()
    }
  })
})
