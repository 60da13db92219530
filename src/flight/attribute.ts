import { REASONS } from '../runtime/record.js'
import type { Stage } from '../runtime/stats.js'
import { Shares } from './shares.js'
import type { HostSeen, LateWake, SlowRecord, Span } from './timeline.js'
import type { Cause, CauseKind } from './types.js'
import { behindWords, WORDS } from './words.js'

/** What of the model's settings decides how a time is read. */
export interface Attribution {
  /** `max_queue_delay_microseconds` is not 0. */
  readonly delays: boolean
  /** CPUs that the process may use. */
  readonly cpus: number
}

/** A run may take this much longer than it usually does before that needs a cause: share, and nanoseconds. */
const SPREAD = 0.2
const SPREAD_NS = 200_000
/** The watching thread looks this often while nothing runs: what it sees may have begun so much earlier. */
const LOOK_NS = 20e6
/** How exactly a turn of the event loop is known. */
const EDGE_NS = 1e6

/** Stages of a request as times, in order. */
export function stagesOf(r: SlowRecord): readonly (readonly [Exclude<Stage, 'total'>, Span])[] {
  const times = [r.submit, r.leader, r.dispatch, r.start, r.end, r.complete, r.drained, r.resolved]
  // One that never came so far (an expired request) has its end there.
  let last = r.submit
  const steps = times.map((time) => (last = Math.min(Math.max(last, time), r.resolved)))
  const span = (i: number): Span => ({ start: steps[i] as number, end: steps[i + 1] as number })
  return [
    ['inbox', span(0)],
    ['queue', span(1)],
    ['prepare', span(2)],
    ['compute', span(3)],
    ['publish', span(4)],
    ['wake', span(5)],
    ['resolve', span(6)],
  ]
}

/**
 * Shares the time of a request out among causes, largest first; their milliseconds add up to submit → resolved.
 *
 * A stage is laid over what is known to have stopped the thread that was to do it: pauses of the garbage collector and
 * long turns of the event loop for `wake` and `resolve`, batches before it for `inbox` and `queue`, waiting for a CPU,
 * throttling and page faults for what the instance's thread does. A run is measured against the running median of runs
 * of its size. What is left over is called unexplained.
 */
export function attribute(record: SlowRecord, host: HostSeen, settings: Attribution): Cause[] {
  return new Attributor(record, host, settings).causes()
}

class Attributor {
  readonly #record: SlowRecord
  readonly #host: HostSeen
  readonly #settings: Attribution
  readonly #whole: Span
  readonly #shares: ReadonlyMap<string, Shares>
  readonly #found = new Map<CauseKind, { ns: number; details: Map<string, number> }>()
  /** Nanoseconds for which the instance's thread waited for a CPU, not given to a stage yet. */
  #delay: number
  /** Throttled nanoseconds that the samples know of, not given to a stage yet. */
  #throttled: number

  constructor(record: SlowRecord, host: HostSeen, settings: Attribution) {
    this.#record = record
    this.#host = host
    this.#settings = settings
    this.#whole = { start: record.submit, end: record.resolved }
    this.#shares = new Map(stagesOf(record).map(([stage, span]) => [stage, new Shares(span)]))
    this.#delay = record.batch?.delayNs ?? 0
    this.#throttled = throttledWithin(host.samples, this.#whole)
  }

  causes(): Cause[] {
    this.#throttling()
    this.#eventLoop()
    this.#queue()
    this.#compute()
    this.#thread(['inbox', 'queue', 'prepare', 'publish'])
    this.#batching()
    this.#standstill()
    this.#rest()
    return [...this.#found]
      .map(([kind, { ns, details }]) => ({ kind, ms: ns / 1e6, detail: largest(details) }))
      .filter(({ ms }) => ms > 0)
      .sort((a, b) => b.ms - a.ms)
  }

  #give(kind: CauseKind, ns: number, detail: string): void {
    if (ns <= 0) return
    const cause = this.#found.get(kind) ?? { ns: 0, details: new Map<string, number>() }
    cause.ns += ns
    cause.details.set(detail, (cause.details.get(detail) ?? 0) + ns)
    this.#found.set(kind, cause)
  }

  #stage(name: string): Shares {
    return this.#shares.get(name) as Shares
  }

  #all(span: Span): number {
    let taken = 0
    for (const shares of this.#shares.values()) taken += shares.take(span)
    return taken
  }

  /** Every thread of the process stands still: a sleeper that wakes late while the throttled time grows says when. */
  #throttling(): void {
    for (const late of this.#host.late) {
      if (!isThrottled(late)) continue
      const before = Math.min(LOOK_NS, Math.max(0, late.throttledNs - (late.end - late.start)))
      const taken = this.#all({ start: late.start - before, end: late.end })
      this.#throttled -= taken
      this.#give('throttled', taken, WORDS.throttled)
    }
  }

  /** What the thread of the caller did while a result waited for it. */
  #eventLoop(): void {
    for (const stage of ['wake', 'resolve']) {
      const shares = this.#stage(stage)
      for (const pause of this.#host.pauses) this.#give('gc', shares.take(pause), WORDS.gc(pause.kind))
      for (const stall of this.#host.stalls) {
        if (stall.loop !== this.#record.loop) continue
        const length = stall.end - stall.start
        const had = Math.min(1, length > 0 ? stall.delayNs / length : 0)
        if (!stall.turn) {
          this.#give(...this.#noCpu(shares.take(stall)))
          continue
        }
        const taken = shares.take({ start: stall.start - EDGE_NS, end: stall.end + EDGE_NS })
        // A little waiting belongs to every long turn.
        const waited = had > 0.1 ? taken * had : 0
        this.#give(...this.#noCpu(waited))
        this.#give('event-loop', taken - waited, WORDS.eventLoop)
      }
    }
  }

  /** Waiting for a CPU is throttling where that is known of, and contention otherwise. */
  #noCpu(ns: number): [CauseKind, number, string] {
    if (ns > 0 && this.#throttled >= ns * 0.3) {
      this.#throttled -= ns
      return ['throttled', ns, WORDS.throttled]
    }
    return ['cpu-contention', ns, WORDS.cpuContention]
  }

  #queue(): void {
    const { previous, behindNs, behind } = this.#record
    const waiting = ['inbox', 'queue'].map((name) => this.#stage(name))
    const words = behindWords(previous, behind)
    let left = behindNs
    for (const batch of previous) {
      const span = { start: batch.dispatch, end: batch.end }
      for (const shares of waiting) {
        const taken = left >= shares.within(span) ? shares.take(span) : shares.takeSome(left)
        left -= taken
        this.#give('queue', taken, words)
      }
    }
    for (const shares of waiting) {
      const taken = shares.takeSome(left)
      left -= taken
      this.#give('queue', taken, words)
    }
  }

  #compute(): void {
    const { batch } = this.#record
    const shares = this.#stage('compute')
    if (batch === undefined || batch.usualNs === 0) {
      this.#give('compute', shares.takeSome(Infinity), WORDS.compute(batch))
      return
    }
    const longer = batch.end - batch.start - batch.usualNs
    const usual = longer <= Math.max(SPREAD_NS, batch.usualNs * SPREAD)
    this.#give('compute', shares.takeSome(usual ? Infinity : batch.usualNs), WORDS.compute(batch))
    if (usual) return
    this.#thread(['compute'])
    if (batch.majorFaults > 0 && batch.cpuNs < 0.5 * (batch.end - batch.start)) {
      this.#give('page-faults', shares.takeSome(Infinity), WORDS.pageFaults(batch.majorFaults))
    }
    for (const late of this.#host.late) {
      if (isHost(late)) this.#give('host', shares.take(late), WORDS.host)
    }
    this.#give('slow-batch', shares.takeSome(Infinity), WORDS.slowBatch(batch))
  }

  /** What the thread of the instance waited for a CPU. Where the collector's own threads had it, that is the collector. */
  #thread(stages: readonly string[]): void {
    for (const name of stages) {
      const shares = this.#stage(name)
      let delay = this.#delayOf(shares.left)
      const give = (kind: CauseKind, span: Span, detail: string): void => {
        const taken = shares.takeSome(Math.min(delay, shares.within(span)))
        delay -= taken
        this.#delay -= taken
        this.#give(kind, taken, detail)
      }
      for (const pause of this.#host.pauses) give('gc', pause, WORDS.gc(pause.kind))
      // With one CPU the instance waits for the thread of the caller.
      for (const stall of this.#settings.cpus === 1 ? this.#host.stalls : []) {
        if (stall.loop === this.#record.loop && stall.turn) give('event-loop', stall, WORDS.eventLoop)
      }
      const taken = shares.takeSome(delay)
      this.#delay -= taken
      this.#give(...this.#noCpu(taken))
    }
  }

  /** Of what is left of a stage, how much may be waiting for a CPU: a little of it belongs to every waking up. */
  #delayOf(left: number): number {
    const { batch } = this.#record
    if (batch === undefined || batch.measured === 0) return 0
    if (this.#delay >= 0.05 * left) return Math.max(0, this.#delay)
    // Kernels that take throttled threads off the run queue do not count that as waiting: the missing CPU time says it.
    const window = batch.end - Math.max(batch.measured, this.#record.submit)
    const missing = window - batch.cpuNs
    return this.#throttled > 0.3 * left && missing > 0.5 * window ? Math.min(this.#throttled, left) : 0
  }

  /** What is left of waiting for dispatch: the batcher waited, or the instance was between the batches before. */
  #batching(): void {
    const { batch, previous, behind } = this.#record
    const reason = batch === undefined ? undefined : REASONS[batch.reason]
    const waited = reason === 'delay' || reason === 'deadline' || (reason !== 'idle' && behind === 0)
    for (const stage of ['inbox', 'queue']) {
      const shares = this.#stage(stage)
      if (this.#settings.delays && batch !== undefined && waited) {
        this.#give('batching-delay', shares.takeSome(Infinity), WORDS.batchingDelay)
      } else if (behind > 0) {
        this.#give('queue', shares.takeSome(Infinity), behindWords(previous, behind))
      }
    }
  }

  /** A sleeper that woke late though nobody else had its CPU: the machine was stopped. */
  #standstill(): void {
    for (const late of this.#host.late) {
      const taken = this.#all(late)
      if (isHost(late)) this.#give('host', taken, WORDS.host)
      else this.#give(...this.#noCpu(taken))
    }
  }

  #rest(): void {
    for (const [stage, shares] of this.#shares) {
      this.#give('unexplained', shares.takeSome(Infinity), WORDS.unexplained(stage))
    }
  }
}

function isThrottled({ start, end, throttledNs }: LateWake): boolean {
  return throttledNs >= 0.3 * (end - start)
}

function isHost(late: LateWake): boolean {
  return !isThrottled(late) && late.delayNs < 0.5 * (late.end - late.start)
}

/** By how much the throttled time grew between the samples around `span`. */
function throttledWithin(samples: HostSeen['samples'], span: Span): number {
  const before = samples.findLast(({ at }) => at <= span.start) ?? samples[0]
  const after = samples.find(({ at }) => at >= span.end) ?? samples.at(-1)
  return before === undefined || after === undefined ? 0 : Math.max(0, after.throttledNs - before.throttledNs)
}

function largest(details: ReadonlyMap<string, number>): string {
  return [...details].reduce((most, each) => (each[1] > most[1] ? each : most), ['', -1] as const)[0]
}
