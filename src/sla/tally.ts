import type { EngineTotals } from '../runtime/measured.js'
import type { EventCounts, Indicator } from './types.js'

/** How requests ended since the last look; the raw material of every objective about a model at a point. */
export interface Tally {
  /** Ended well. */
  readonly ok: number
  /** Of these, within each threshold that is watched, microseconds. */
  readonly within: ReadonlyMap<number, number>
  /** Refused, expired and failed. */
  readonly bad: number
  /** Given up by the client. */
  readonly excluded: number
}

export const NO_TALLY: Tally = { ok: 0, within: new Map(), bad: 0, excluded: 0 }

export function addTallies(a: Tally, b: Tally): Tally {
  const within = new Map(a.within)
  for (const [us, count] of b.within) within.set(us, (within.get(us) ?? 0) + count)
  return { ok: a.ok + b.ok, within, bad: a.bad + b.bad, excluded: a.excluded + b.excluded }
}

/** The events of an objective in `seconds` seconds of such requests. */
export function eventsOf(indicator: Indicator, { ok, within, bad, excluded }: Tally, seconds: number): EventCounts {
  const total = ok + bad
  switch (indicator.kind) {
    case 'latency':
      return { good: within.get(indicator.thresholdUs) ?? 0, total, excluded }
    case 'availability':
      return { good: ok, total, excluded }
    case 'goodput': {
      // Seconds in which nobody asked say nothing, nor does a part of one.
      if (total === 0 || seconds < 0.5) return { good: 0, total: 0, excluded: 0 }
      const good = within.get(indicator.thresholdUs) ?? 0
      const whole = Math.max(1, Math.round(seconds))
      const reached = good === total || good / Math.max(seconds, 1e-3) >= indicator.perSecond
      return { good: reached ? whole : 0, total: whole, excluded: 0 }
    }
    default:
      return { good: 0, total: 0, excluded: 0 }
  }
}

/** Where figures come from that only grow: they are read, and what was added since the last time is the tally. */
export class EngineTally {
  readonly #thresholdsUs: readonly number[]
  readonly #read: (thresholdsUs: readonly number[]) => EngineTotals | undefined
  #last: EngineTotals | undefined

  /** What was counted before is not part of the first tally. */
  constructor(thresholdsUs: readonly number[], read: (thresholdsUs: readonly number[]) => EngineTotals | undefined) {
    this.#thresholdsUs = thresholdsUs
    this.#read = read
    this.#last = read(thresholdsUs)
  }

  /** Whether there is an engine that counts. */
  get counts(): boolean {
    return this.#last !== undefined
  }

  take(): Tally {
    const before = this.#last
    const now = this.#read(this.#thresholdsUs)
    if (before === undefined || now === undefined) return NO_TALLY
    this.#last = now
    return {
      ok: now.measured - before.measured,
      within: new Map(this.#thresholdsUs.map((us, i) => [us, (now.within[i] ?? 0) - (before.within[i] ?? 0)])),
      bad: now.failed + now.expired + now.refused - before.failed - before.expired - before.refused,
      excluded: now.cancelled - before.cancelled,
    }
  }
}

/** Requests that a front end has answered, or could not. */
export class EdgeTally {
  readonly #within: Map<number, number>
  #ok = 0
  #bad = 0
  #excluded = 0

  constructor(thresholdsUs: readonly number[]) {
    this.#within = new Map(thresholdsUs.map((us) => [us, 0]))
  }

  /** `us`: request received → answer handed to the socket. */
  answered(us: number): void {
    this.#ok++
    for (const [threshold, count] of this.#within) if (us <= threshold) this.#within.set(threshold, count + 1)
  }

  failed(): void {
    this.#bad++
  }

  clientLeft(): void {
    this.#excluded++
  }

  take(): Tally {
    const tally = { ok: this.#ok, within: new Map(this.#within), bad: this.#bad, excluded: this.#excluded }
    this.#ok = this.#bad = this.#excluded = 0
    for (const threshold of this.#within.keys()) this.#within.set(threshold, 0)
    return tally
  }
}
