import { SubtenError } from '../runtime/errors.js'
import type { Inputs } from '../runtime/types.js'
import type { Generated, Plan, Progress } from './generator.js'
import { runHere, runInThread } from './generator-thread.js'
import { type LatencyHistogram, newHistogram } from './histogram.js'
import { type LoadPlan, loadText } from './load-plan.js'
import type { Metered } from './meter.js'
import { curveOf, latencySummary } from './percentiles.js'
import { prepare } from './prepare-target.js'
import type { Load, ProfileRun, ScheduleProof, TargetFacts } from './report-types.js'
import type { Prepared, Target } from './target.js'
import { readTrace } from './trace-file.js'

/** How {@link profile} measures. */
export interface ProfileOptions {
  /** When requests are sent. */
  readonly load: LoadPlan
  /** Length of the measured part; 5 by default, of a replay as long as the trace. */
  readonly seconds?: number
  /** Seconds before it that are not counted; 'auto' (default): until the mean latency is steady. */
  readonly warmup?: number | 'auto'
  /** The most that 'auto' takes, seconds; 10 by default. */
  readonly warmupMaxSeconds?: number
  /** Of arrival times and inputs: the same seed gives the same requests at the same times. 1 by default. */
  readonly seed?: number
  readonly inputs?: readonly Inputs[]
  /** Shapes of random inputs that have unknown dimensions, by name; 1 for each where absent. */
  readonly shapes?: { readonly [input: string]: readonly number[] }
  /** What the run is called; the load by default. */
  readonly label?: string
  /** Counts answers within so many microseconds as goodput. */
  readonly goodWithinUs?: number
  /** A send so much after its time is late, microseconds; 1000 by default. */
  readonly lateBoundUs?: number
  /** The share of sends that may be late before the run is invalid; 0.01 by default. */
  readonly lateAllowed?: number
  /** How long answers are waited for, milliseconds; 10,000 by default. */
  readonly timeoutMs?: number
  /** Requests that may be open at a time, beyond which they count as aborted; 100,000 by default. */
  readonly mostOpen?: number
  /** Connections to a server at most; 1024 by default. */
  readonly connections?: number
  /** Deadline of each request, milliseconds. */
  readonly deadlineMs?: number
  /**
   * The most of the deadline that was used up before a request came, a share from 0 to 1: each draws its own, uniformly.
   * An answer after what was left counts as failed, `LATE`. Of a model in this process.
   */
  readonly deadlineBurnt?: number
  /** False: the model is not told the deadline, only judged by what is left of it. */
  readonly deadlineTold?: boolean
  /** Samples sent at once as one query, which ends with the last of them. */
  readonly samplesPerQuery?: number
  /** A closed loop that ends after so many queries, not after `seconds`. */
  readonly queries?: number
  readonly signal?: AbortSignal
  /** Called about four times a second. */
  onProgress?(progress: Progress): void
}

/** A measured run, and what was measured. */
export interface Profiled {
  readonly run: ProfileRun
  readonly target: TargetFacts
  /** What a reader must know not to read more into the figures than they say. */
  readonly notes: readonly string[]
  /** All latencies, nanoseconds, for figures that the run does not have. */
  readonly latency: LatencyHistogram
}

/**
 * Measures a target under one load and says how far the figures can be trusted.
 *
 * ```ts
 * const run = await profile(model, { load: { kind: 'poisson', rate: 500 }, seconds: 10 })
 * if (!run.schedule?.kept) throw new Error(run.schedule?.reason)
 * console.log(run.latencyUs.p99) // { value, low, high }, or { needs }: so many requests more
 * ```
 *
 * Requests are sent by a thread of its own at times that do not depend on the answers, and a request's latency counts
 * from the time at which it should have been sent: a stall delays every request that was due in it, and shows in all of
 * them (no coordinated omission). A run whose requests left late is marked as invalid (`schedule.kept`). Times are
 * microseconds; docs/benchmarking.md explains the method.
 *
 * @param target a loaded model, or a server
 * @throws INVALID_INPUT where an option, or the target, refuses what is sent; CONFIG_INVALID for a bad trace, with file
 *   and line; MODEL_NOT_FOUND where no such server or model answers; NOT_SUPPORTED for gRPC and decoupled models; the
 *   reason of `signal`
 */
export async function profile(target: Target, options: ProfileOptions): Promise<ProfileRun> {
  return (await measure(target, options)).run
}

/** As {@link profile}, with what belongs to the report around the run. */
export async function measure(target: Target, options: ProfileOptions): Promise<Profiled> {
  const plan = await planOf(options)
  const { connections = 1024 } = options
  const given = { ...options, seed: plan.seed, connections, timeoutMs: plan.timeoutMs }
  const prepared = await prepare(target, given)
  const { caller, meter } = prepared
  let metered: Metered = {}
  const watcher = {
    measuring: () => meter.begin(),
    measured: async (generatorCpuUs: number | undefined) => {
      metered = await meter.end(generatorCpuUs)
    },
    progress: (progress: Progress) => options.onProgress?.(progress),
    signal: options.signal,
  }
  const generated = 'kind' in caller ? await runInThread(caller, plan, watcher) : await runHere(caller, plan, watcher)
  return described(prepared, plan, options, generated, metered)
}

async function planOf(options: ProfileOptions): Promise<Plan> {
  const { seed = 1, warmup = 'auto', warmupMaxSeconds = 10, timeoutMs = 10_000, mostOpen = 100_000 } = options
  const { goodWithinUs = Number.POSITIVE_INFINITY, lateBoundUs = 1000, samplesPerQuery, queries } = options
  const trace = options.load.kind === 'replay' ? await readTrace(options.load.file) : undefined
  const load = loadOf(options.load, seed, trace?.length ?? 0)
  if (trace && load.kind === 'replay')
    for (let i = 0; i < trace.length; i++) trace[i] = (trace[i] as number) / load.speed
  // A hair more than the last time of the trace, so that its last request is sent.
  const seconds = options.seconds ?? (trace ? Math.max((trace.at(-1) ?? 0) / 1e9 + 0.001, 0.1) : 5)
  for (const [name, value] of Object.entries({
    seconds,
    warmupMaxSeconds,
    timeoutMs,
    mostOpen,
    lateBoundUs,
    goodWithinUs,
  })) {
    if (!(value > 0)) throw wrong(name, value)
  }
  const { deadlineBurnt: burnt } = options
  if (burnt !== undefined && !(burnt >= 0 && burnt <= 1 && options.deadlineMs)) throw wrong('deadlineBurnt', burnt)
  if (warmup !== 'auto' && !(warmup >= 0)) throw wrong('warmup', warmup)
  const limits = { lateNs: lateBoundUs * 1000, goodNs: goodWithinUs * 1000, timeoutMs, mostOpen }
  return { load, seconds, seed, warmup, warmupMaxSeconds, ...limits, trace, samplesPerQuery, queries }
}

function loadOf(plan: LoadPlan, seed: number, requests: number): Load {
  switch (plan.kind) {
    case 'closed':
      if (!(plan.concurrency >= 1)) throw wrong('concurrency', plan.concurrency)
      return { ...plan }
    case 'replay': {
      const { file, speed = 1 } = plan
      if (!(speed > 0)) throw wrong('speed', speed)
      return { kind: 'replay', file, requests, speed }
    }
    case 'ramp':
      if (!(plan.from >= 0 && plan.to >= 0 && plan.from + plan.to > 0)) throw wrong('from and to', [plan.from, plan.to])
      return { ...plan, seed: plan.seed ?? seed }
    default:
      if (!(plan.rate > 0)) throw wrong('rate', plan.rate)
      if (plan.kind === 'gamma' && !(plan.cv > 0)) throw wrong('cv', plan.cv)
      return { ...plan, seed: plan.seed ?? seed }
  }
}

function wrong(name: string, value: unknown): SubtenError {
  return new SubtenError('INVALID_INPUT', `${name} cannot be ${String(value)}`, { remedy: 'Give a number above 0.' })
}

function described(
  { facts, caller }: Prepared,
  plan: Plan,
  options: ProfileOptions,
  g: Generated,
  metered: Metered,
): Profiled {
  const latency = together(g.latency)
  const { cpuUs, ...side } = metered
  const { succeeded } = g.tally
  const run: ProfileRun = {
    label: options.label ?? loadText(plan.load),
    load: plan.load,
    startedAt: g.startedAt,
    seconds: g.seconds,
    warmup: g.warmup,
    requests: g.tally,
    errors: g.errors,
    firstError: g.firstError,
    throughput: g.inTime / g.seconds,
    ...(options.goodWithinUs === undefined ? {} : { goodput: g.good / g.seconds, goodWithinUs: options.goodWithinUs }),
    schedule: plan.load.kind === 'closed' ? undefined : proofOf(g, plan, options.lateAllowed ?? 0.01),
    latencyUs: latencySummary(g.latency, latency),
    serviceUs: latencySummary(g.service, together(g.service)),
    curve: curveOf(latency),
    series: g.series,
    ...side,
    cpuUsPerRequest: cpuUs === undefined || succeeded === 0 ? undefined : cpuUs / succeeded,
  }
  return { run, target: facts, latency, notes: notesOf(run, facts, 'kind' in caller) }
}

function together(blocks: readonly LatencyHistogram[]): LatencyHistogram {
  const whole = newHistogram()
  for (const block of blocks) if (block.count > 0) whole.add(block)
  return whole
}

function proofOf(g: Generated, { lateNs }: Plan, allowed: number): ScheduleProof {
  const late = g.tally.sent === 0 ? 0 : g.late / g.tally.sent
  const boundUs = lateNs / 1000
  const latenessUs = latencySummary(g.lateness, together(g.lateness))
  const reasons: string[] = []
  if (late > allowed) {
    reasons.push(
      `${percent(late)} of the requests left more than ${boundUs / 1000} ms after their time, where ${percent(allowed)} may: the generator had too little processor time for this rate`,
    )
  }
  if (g.tally.sent === 0) reasons.push('no request was due in the time that was measured')
  const kept = reasons.length === 0
  return { kept, boundUs, late, allowed, latenessUs, ...(kept ? {} : { reason: reasons.join('; ') }) }
}

function percent(share: number): string {
  return `${Number((share * 100).toFixed(2))} %`
}

function notesOf(run: ProfileRun, target: TargetFacts, ownThread: boolean): string[] {
  const notes: string[] = []
  if (!ownThread) {
    notes.push('The model cannot be shared with another thread: requests came from the thread that answers them.')
  }
  if (run.load.kind === 'closed') {
    notes.push(
      'In a closed loop a slow answer delays the next request, which hides stalls: measure latency with a rate.',
    )
  } else if (run.load.kind !== 'ramp' && run.throughput < 0.95 * (run.requests.sent / run.seconds)) {
    notes.push(`${run.label}: the target did not keep up; the queue grew, and latency says for how long.`)
  }
  if (run.schedule && !run.schedule.kept) notes.push(`${run.label}: INVALID: ${run.schedule.reason}.`)
  if (!run.warmup.steady && !run.warmup.how.endsWith('as asked'))
    notes.push(`${run.label}: warm-up: ${run.warmup.how}.`)
  const { aborted } = run.requests
  if (aborted > 0) notes.push(`${run.label}: ${aborted} requests were given up; percentiles leave them out.`)
  if (run.load.kind === 'ramp') notes.push('A ramp has no steady state: its percentiles are of a mixture of rates.')
  if (target.kind !== 'in-process' && run.stagesUs) {
    notes.push(
      'Percentiles of stages are since the server loaded the model; means and counts are of the measured part.',
    )
  }
  return notes
}
