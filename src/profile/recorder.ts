import { type LatencyHistogram, newHistogram, record } from './histogram.js'
import type { RequestTally, SeriesPoint } from './report-types.js'

/** Blocks of equal time that the intervals of percentiles are made from; see percentiles.ts. */
export const BLOCKS = 32
const MOST_WINDOWS = 608

/** What one phase of load is told of its requests. Times are nanoseconds on the generator's clock. */
export interface Sink {
  sent(due: number, now: number): void
  /** `code` is absent when it went well. */
  ended(due: number, sent: number, now: number, code?: string, detail?: string): void
  /** Given up, or never sent because too many were open. */
  aborted(due: number): void
  readonly sentCount: number
  readonly endedCount: number
}

/** Everything measured in one phase. Histograms are nanoseconds; all of it can be posted to another thread. */
export interface Recorded {
  readonly seconds: number
  readonly tally: RequestTally
  readonly errors: Readonly<Record<string, number>>
  readonly firstError?: string
  /** Answers that came before the phase was over. */
  readonly inTime: number
  /** Answers within the limit, where there is one. */
  readonly good: number
  /** Sends later than the bound. */
  readonly late: number
  readonly series: readonly SeriesPoint[]
  readonly latency: readonly LatencyHistogram[]
  readonly service: readonly LatencyHistogram[]
  readonly lateness: readonly LatencyHistogram[]
}

interface Window {
  sent: number
  succeeded: number
  open: number
  histogram?: LatencyHistogram
  point?: SeriesPoint
}

/**
 * Counts the requests of one phase by the time at which they were due: a stall shows in the second in which it was. A
 * window is summed up when all its requests have ended, so that few histograms are open at a time.
 */
export class Recorder implements Sink {
  readonly #start: number
  readonly #windowNs: number
  readonly #perBlock: number
  readonly #windows: Window[]
  readonly #latency = blocks()
  readonly #service = blocks()
  readonly #lateness = blocks()
  readonly #spare: LatencyHistogram[] = []
  readonly #counts = { sent: 0, succeeded: 0, failed: 0, refused: 0, expired: 0, aborted: 0 }
  readonly #errors = new Map<string, number>()
  readonly #lateNs: number
  readonly #goodNs: number
  readonly #endNs: number
  #firstError: string | undefined
  #inTime = 0
  #good = 0
  #late = 0
  #oldest = 0

  constructor(start: number, seconds: number, limits: { lateNs: number; goodNs: number }) {
    this.#perBlock = Math.max(1, Math.min(MOST_WINDOWS / BLOCKS, Math.round(seconds / BLOCKS)))
    const windows = BLOCKS * this.#perBlock
    this.#start = start
    this.#windowNs = (seconds * 1e9) / windows
    this.#endNs = start + seconds * 1e9
    this.#windows = Array.from({ length: windows }, () => ({ sent: 0, succeeded: 0, open: 0 }))
    this.#lateNs = limits.lateNs
    this.#goodNs = limits.goodNs
  }

  get sentCount(): number {
    return this.#counts.sent
  }

  get endedCount(): number {
    const { succeeded, failed, refused, expired, aborted } = this.#counts
    return succeeded + failed + refused + expired + aborted
  }

  sent(due: number, now: number): void {
    const index = this.#index(due)
    const window = this.#windows[index] as Window
    window.sent++
    window.open++
    this.#counts.sent++
    const late = now - due
    if (late > this.#lateNs) this.#late++
    record(this.#block(this.#lateness, index), late)
    // Those before that have no request under way are complete: everything is sent in order of its due time.
    while (this.#oldest < index) {
      const before = this.#windows[this.#oldest] as Window
      if (before.open > 0) break
      this.#close(this.#oldest++)
    }
  }

  ended(due: number, sent: number, now: number, code?: string, detail?: string): void {
    const index = this.#index(due)
    const window = this.#windows[index] as Window
    window.open--
    if (code !== undefined) {
      this.#failed(code, detail)
      return
    }
    this.#counts.succeeded++
    window.succeeded++
    if (now <= this.#endNs) this.#inTime++
    if (now - due <= this.#goodNs) this.#good++
    window.histogram ??= this.#spare.pop() ?? newHistogram()
    record(window.histogram, now - due)
    record(this.#block(this.#service, index), now - sent)
  }

  aborted(due: number): void {
    const window = this.#windows[this.#index(due)] as Window
    window.open--
    this.#counts.aborted++
  }

  /** @param endedAt when the phase was over, if it was not its length that ended it */
  finish(endedAt?: number): Recorded {
    // A phase that a count ended is as long as it took.
    const seconds = ((endedAt ?? this.#endNs) - this.#start) / 1e9
    for (let i = this.#oldest; i < this.#windows.length; i++) this.#close(i)
    const series = this.#windows.flatMap((window) => window.point ?? [])
    while (series.length > 1 && series.at(-1)?.sent === 0 && (series.at(-1)?.at ?? 0) >= seconds) series.pop()
    return {
      seconds,
      tally: { ...this.#counts },
      errors: Object.fromEntries(this.#errors),
      firstError: this.#firstError,
      inTime: endedAt === undefined ? this.#inTime : this.#counts.succeeded,
      good: this.#good,
      late: this.#late,
      series,
      latency: this.#latency,
      service: this.#service,
      lateness: this.#lateness,
    }
  }

  #index(due: number): number {
    return Math.min(this.#windows.length - 1, Math.max(0, Math.floor((due - this.#start) / this.#windowNs)))
  }

  #block(of: LatencyHistogram[], index: number): LatencyHistogram {
    return of[Math.floor(index / this.#perBlock)] as LatencyHistogram
  }

  #failed(code: string, detail: string | undefined): void {
    if (isRefusal(code)) this.#counts.refused++
    else if (isExpiry(code)) this.#counts.expired++
    else this.#counts.failed++
    this.#errors.set(code, (this.#errors.get(code) ?? 0) + 1)
    this.#firstError ??= detail ?? code
  }

  #close(index: number): void {
    const window = this.#windows[index] as Window
    const { sent, succeeded, histogram } = window
    const us = (ns: number): number => (histogram ? ns / 1000 : 0)
    window.point = {
      at: (index * this.#windowNs) / 1e9,
      seconds: this.#windowNs / 1e9,
      sent,
      succeeded,
      bad: sent - succeeded,
      p50: us(histogram?.percentile(50) ?? 0),
      p99: us(histogram?.percentile(99) ?? 0),
      max: us(histogram?.max ?? 0),
    }
    if (!histogram) return
    this.#block(this.#latency, index).add(histogram)
    histogram.reset()
    this.#spare.push(histogram)
    window.histogram = undefined
  }
}

function blocks(): LatencyHistogram[] {
  return Array.from({ length: BLOCKS }, newHistogram)
}

function isRefusal(code: string): boolean {
  return code === 'QUEUE_FULL' || code === 'SLO_UNREACHABLE' || code === 'HTTP 429' || code === 'HTTP 503'
}

function isExpiry(code: string): boolean {
  return code === 'DEADLINE_EXCEEDED' || code === 'HTTP 504'
}
