import { openDataset } from '../data/dataset.js'
import { load } from '../load/load.js'
import { type LatencyHistogram, valueAtRank } from '../profile/histogram.js'
import { measure, type Profiled } from '../profile/profile.js'
import { derivedSeed } from '../profile/random.js'
import { percentileOfSent } from '../profile/trial.js'
import type { LoadOptions, Model } from '../runtime/types.js'
import { measureAccuracy } from './accuracy.js'
import { findCapacity } from './capacity.js'
import type { AccuracyFigures, Figures, MeasureBudget, TrialFigures } from './types.js'

/** What a measuring process is asked for: one line of JSON on its standard input. */
export type ChildRequest =
  | ({ readonly kind: 'capacity'; readonly budget: MeasureBudget; readonly rate?: number } & LoadRequest)
  | ({ readonly kind: 'rate'; readonly rate: number; readonly seconds: number; readonly use: number } & LoadRequest)
  | { readonly kind: 'accuracy'; readonly model: ModelToLoad; readonly against?: ModelToLoad; readonly data: string }

export interface ModelToLoad {
  readonly path: string
  readonly options: LoadOptions
}

interface LoadRequest {
  readonly model: ModelToLoad
  readonly limitUs: number
  readonly seed: number
  readonly shapes: Readonly<Record<string, readonly number[]>>
}

export type ChildAnswer<R extends ChildRequest> = R extends { kind: 'capacity' }
  ? Figures
  : R extends { kind: 'rate' }
    ? TrialFigures
    : AccuracyFigures

/** Runs of one search for the capacity. */
const TRIALS = 6
/** A run is stretched at most so far to meet the requests that it should have. */
const STRETCH = 4
/** Share of a measurement that one request after another gets, and the longest, seconds. */
const ALONE_SHARE = 0.06
const ALONE_SECONDS = 1
/** Callers of the closed loop that says where the search begins, at most. */
const MOST_CALLERS = 64

/** What was asked for, measured in this process. */
export async function answer(request: ChildRequest): Promise<Figures | TrialFigures | AccuracyFigures> {
  if (request.kind === 'accuracy') return accuracy(request)
  const began = performance.now()
  const model = await load(request.model.path, request.model.options)
  try {
    if (request.kind === 'capacity') return await capacity(model, request, began)
    await warm(model, request)
    return (await trialOf(model, request, request.rate, request.seconds, derivedSeed(request.seed, request.use)))
      .figures
  } finally {
    await model.close()
  }
}

async function accuracy(request: ChildRequest & { kind: 'accuracy' }): Promise<AccuracyFigures> {
  const model = await load(request.model.path, request.model.options)
  const other = request.against && (await load(request.against.path, request.against.options))
  try {
    const data = await openDataset(request.data, model)
    return await measureAccuracy(model, data, other === undefined ? {} : { against: other })
  } finally {
    await Promise.all([model.close(), other?.close()])
  }
}

async function capacity(model: Model, request: ChildRequest & { kind: 'capacity' }, began: number): Promise<Figures> {
  const { budget, limitUs, seed } = request
  const aloneUs = await warm(model, request, Math.min(ALONE_SECONDS, Math.max(0.2, budget.seconds * ALONE_SHARE)))
  const rest = (): Pick<Figures, 'aloneUs' | 'peakRssMb' | 'seconds'> => ({
    aloneUs,
    peakRssMb: Math.round(process.resourceUsage().maxRSS / 1024),
    seconds: Number(((performance.now() - began) / 1000).toFixed(2)),
  })
  if (aloneUs > limitUs) return { capacity: 0, trials: [], ...rest() }
  const { hint } = budget
  const from = hint ?? 0.8 * (await saturation(model, request))
  const each = budget.seconds / TRIALS
  let best: { figures: TrialFigures; profiled: Profiled } | undefined
  const found = await findCapacity({
    limitUs,
    from: Math.max(1, from),
    step: hint === undefined ? 1.3 : 1.1,
    trials: TRIALS,
    // Known to be possible: what made the generator late was probably a moment.
    retries: hint === undefined ? 0 : 2,
    trial: async (rate, number) => {
      const seconds = Math.min(STRETCH * each, Math.max(each, budget.requests / rate))
      // Candidates that are measured in turns meet the same arrivals, as far as their rates are alike.
      const use = 1 + number + 100 * (budget.repeat + 10 * budget.rung)
      const trial = await trialOf(model, request, rate, seconds, derivedSeed(seed, use))
      if (trial.figures.p99Us <= limitUs && !(best && best.figures.rate >= rate)) best = trial
      return trial.figures
    },
  })
  const atRate =
    request.rate === undefined
      ? undefined
      : (await trialOf(model, request, request.rate, 2 * each, derivedSeed(seed, 99 + budget.repeat))).figures
  const { run } = best?.profiled ?? {}
  return {
    ...found,
    ...(atRate === undefined ? {} : { atRate }),
    ...(run?.stagesUs === undefined ? {} : { stagesUs: run.stagesUs }),
    ...(run?.batches === undefined ? {} : { meanBatch: run.batches.meanSize }),
    ...(run?.cpuUsPerRequest === undefined ? {} : { cpuUs: run.cpuUsPerRequest }),
    ...rest(),
  }
}

/** One request after another: warms the model up, and gives the median latency, microseconds. */
async function warm(model: Model, request: LoadRequest, seconds = 0.2): Promise<number> {
  const { latency } = await measure(model, {
    load: { kind: 'closed', concurrency: 1 },
    seconds,
    warmup: 'auto',
    warmupMaxSeconds: Math.max(0.5, seconds),
    seed: request.seed,
    shapes: request.shapes,
  })
  return latency.count === 0 ? request.limitUs * 2 : medianUs(latency)
}

const medianUs = (latency: LatencyHistogram): number => valueAtRank(latency, Math.ceil(latency.count / 2)) / 1000

/** Answers a second with as many callers as fill all batches: about the most that the model can do. */
async function saturation(model: Model, request: LoadRequest): Promise<number> {
  const { instance_group: groups = [], dynamic_batching: batching } = model.config as {
    instance_group?: readonly { count: number }[]
    dynamic_batching?: object
  }
  const instances = groups.reduce((sum, { count }) => sum + count, 0)
  const rows = batching === undefined ? 1 : model.maxBatchSize
  const { run } = await measure(model, {
    load: { kind: 'closed', concurrency: Math.min(MOST_CALLERS, 2 * Math.max(1, instances) * Math.max(1, rows)) },
    seconds: 0.3,
    warmup: 0.1,
    seed: request.seed,
    shapes: request.shapes,
  })
  return run.throughput
}

async function trialOf(
  model: Model,
  { limitUs, shapes }: LoadRequest,
  rate: number,
  seconds: number,
  seed: number,
): Promise<{ figures: TrialFigures; profiled: Profiled }> {
  const profiled = await measure(model, {
    load: { kind: 'poisson', rate },
    seconds,
    // Long enough for the queue to become what it is under this rate.
    warmup: Math.min(1, Math.max(0.15, (5 * limitUs) / 1e6)),
    seed,
    shapes,
    goodWithinUs: limitUs,
    // What is late counts as latency; late beyond a twentieth of the limit, the run says more of the generator.
    lateBoundUs: Math.max(1000, limitUs / 20),
    // An answer so late is no answer; waiting longer for a queue without end would only cost time.
    timeoutMs: Math.max(2000, (10 * limitUs) / 1000),
  })
  return { figures: figuresOf(profiled, rate, limitUs), profiled }
}

function figuresOf(profiled: Profiled, rate: number, limitUs: number): TrialFigures {
  const { run } = profiled
  const at = (share: number): number => Number(percentileOfSent(profiled, share).toPrecision(5))
  const { p99 } = run.latencyUs
  const p99Us = at(0.99)
  const late = run.schedule?.kept === false && p99Us > limitUs ? run.schedule.reason : undefined
  return {
    rate,
    seconds: run.seconds,
    sent: run.requests.sent,
    succeeded: run.requests.succeeded,
    p50Us: at(0.5),
    p95Us: at(0.95),
    p99Us,
    p999Us: at(0.999),
    ...('value' in p99 ? { p99: { value: p99.value, low: p99.low, high: p99.high } } : {}),
    throughput: run.throughput,
    goodput: run.goodput ?? 0,
    ...(run.cpuUsPerRequest === undefined ? {} : { cpuUs: run.cpuUsPerRequest }),
    ...(late === undefined ? {} : { invalid: late }),
  }
}
