import { setTimeout as sleep } from 'node:timers/promises'
import { type Caller, grouped } from './caller.js'
import { nowNs, type Phase, type Running, startLoad } from './load-loop.js'
import { meanRate } from './load-plan.js'
import { derivedSeed } from './random.js'
import { type Recorded, Recorder, type Sink } from './recorder.js'
import type { Load } from './report-types.js'
import { WarmUp } from './warm-up.js'

/** What the generator is to do; can be posted to its thread. */
export interface Plan {
  readonly load: Load
  readonly seconds: number
  readonly seed: number
  /** Seconds, or 'auto': until latency is steady, `warmupMaxSeconds` at most. */
  readonly warmup: number | 'auto'
  readonly warmupMaxSeconds: number
  /** A send so much after its time is late. */
  readonly lateNs: number
  /** An answer within this time is good; Infinity where no limit was given. */
  readonly goodNs: number
  /** How long answers are waited for when all was sent. */
  readonly timeoutMs: number
  /** Requests that may be open; what is due beyond is counted as aborted. */
  readonly mostOpen: number
  /** Of a replay, nanoseconds. */
  readonly trace?: Float64Array
  /** Samples that are sent at once as one query. */
  readonly samplesPerQuery?: number
  /** A closed loop that ends after so many queries instead of at its time. */
  readonly queries?: number
}

export interface Generated extends Recorded {
  /** Milliseconds since the epoch. */
  readonly startedAt: number
  readonly warmup: {
    readonly seconds: number
    readonly requests: number
    readonly steady: boolean
    readonly how: string
  }
}

export interface Progress {
  readonly phase: 'warm-up' | 'measuring' | 'waiting'
  /** Since the phase began. */
  readonly seconds: number
  readonly sent: number
  readonly ended: number
}

/** What the generator needs of where it runs. */
export interface Surroundings {
  /** Waits so many milliseconds, as exactly as can be. */
  wait(ms: number): Promise<void>
  /** The warm-up is over and its requests have ended: figures are read now. Measuring starts when it resolves. */
  measuring(): Promise<void>
  progress(progress: Progress): void
}

const PROGRESS_MS = 250
/** Measuring starts with no request of the warm-up open, so that counts agree; longer is not waited for the last ones. */
const LAST_OF_WARM_UP_MS = 1000

/** Warms up, measures, waits for what is open: the whole of one run, on the thread it is called on. */
export async function generate(plan: Plan, target: Caller, around: Surroundings): Promise<Generated> {
  const caller = plan.samplesPerQuery ? grouped(target, plan.samplesPerQuery) : target
  const warmup = await warmUp(plan, caller, around)

  const startedAt = Date.now()
  const start = nowNs()
  const recorder = new Recorder(start, plan.seconds, plan)
  const counted = plan.queries !== undefined
  const phase: Phase = {
    ...plan,
    start,
    until: counted ? Number.POSITIVE_INFINITY : start + plan.seconds * 1e9,
    most: plan.queries ?? Number.POSITIVE_INFINITY,
    seed: derivedSeed(plan.seed, 1),
  }
  const running = startLoad(phase, caller, recorder, around.wait)
  await reporting(around, 'measuring', start, recorder, () => running.allSent)
  await reporting(around, 'waiting', start, recorder, () => drained(running, plan.timeoutMs))
  const endedAt = counted ? nowNs() : undefined
  for (const due of running.giveUp()) recorder.aborted(due)
  return { ...recorder.finish(endedAt), startedAt, warmup }
}

async function warmUp(plan: Plan, caller: Caller, around: Surroundings): Promise<Generated['warmup']> {
  const start = nowNs()
  const watch = new WarmUp(plan, start)
  if (plan.warmup === 0) {
    await around.measuring()
    return watch.result(start)
  }
  const endless = { until: Number.POSITIVE_INFINITY, most: Number.POSITIVE_INFINITY, trace: undefined }
  const phase: Phase = { ...plan, ...endless, load: loadBefore(plan), start, seed: derivedSeed(plan.seed, 2) }
  const running = startLoad(phase, caller, watch, around.wait)
  await reporting(around, 'warm-up', start, watch, async () => {
    while (!watch.over(nowNs())) await sleep(20)
  })
  const result = watch.result(nowNs())
  running.stop()
  await running.allSent
  await drained(running, LAST_OF_WARM_UP_MS)
  await around.measuring()
  return result
}

/** The load before the measured one: as that begins, so that a ramp or a trace is not spent on it. */
function loadBefore({ load, seconds, seed }: Plan): Load {
  if (load.kind === 'closed' || load.kind === 'constant') return load
  const rate = load.kind === 'ramp' ? Math.max(load.from, 1) : meanRate(load, seconds)
  return { kind: 'poisson', rate, seed: derivedSeed(seed, 3) }
}

async function drained(running: Running, timeoutMs: number): Promise<void> {
  const end = nowNs() + timeoutMs * 1e6
  while (running.open() > 0 && nowNs() < end) await sleep(1)
}

/** Says every so often how far a phase is, while `work` runs. */
async function reporting(
  around: Surroundings,
  phase: Progress['phase'],
  start: number,
  counts: Sink,
  work: () => Promise<void>,
): Promise<void> {
  const say = (): void =>
    around.progress({ phase, seconds: (nowNs() - start) / 1e9, sent: counts.sentCount, ended: counts.endedCount })
  const timer = setInterval(say, PROGRESS_MS)
  try {
    await work()
  } finally {
    clearInterval(timer)
  }
}
