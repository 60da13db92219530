import { NO_EVENTS } from './budget.js'
import type { EventCounts } from './types.js'

/** A ring of buckets of one width. */
export interface Level {
  readonly widthMs: number
  readonly buckets: number
}

/** A bucket that has events: its number is `floor(time / widthMs)`. */
export type Bucket = readonly [number: number, good: number, total: number, excluded: number]

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

/** Windows up to the first figure are counted in buckets of the second, milliseconds: at most 0.1 to 1.7 % of a window. */
const FINE: readonly (readonly [reachMs: number, widthMs: number])[] = [
  [15 * MINUTE, SECOND],
  [6.25 * HOUR, 15 * SECOND],
  [75 * HOUR, 5 * MINUTE],
  [100 * DAY, 15 * MINUTE],
  [400 * DAY, HOUR],
]

/** The levels for windows of up to `longestMs`: about 9,600 buckets in the longest, 0.3 MiB. */
export function levelsFor(longestMs: number): Level[] {
  const levels: Level[] = []
  for (const [reachMs, widthMs] of FINE) {
    const reach = Math.min(reachMs, longestMs)
    levels.push({ widthMs, buckets: Math.ceil(reach / widthMs) + 2 })
    if (longestMs <= reachMs) return levels
  }
  levels.push({ widthMs: DAY, buckets: Math.min(20_000, Math.ceil(longestMs / DAY) + 2) })
  return levels
}

/**
 * Counts of events over time in bounded memory: every event is counted once in each level, fine buckets for the near past
 * and coarse ones for the far. A window is read from the finest level that reaches back far enough. An event is kept
 * under its own time, so that the order in which events are added makes no difference.
 *
 * The error of a window is at its old end alone: it leaves out the events of at most one bucket, never counts an older
 * one, and is exact for windows that begin where a bucket does.
 */
export class CountSeries {
  readonly levels: readonly Level[]
  /** [bucket number + 1, good, total, excluded] for each place in the ring. */
  readonly #rings: readonly Float64Array[]

  constructor(levels: readonly Level[]) {
    this.levels = levels
    this.#rings = levels.map(({ buckets }) => new Float64Array(buckets * 4))
  }

  /** `at`: milliseconds on the timeline of the series. */
  add(at: number, { good, total, excluded }: EventCounts): void {
    for (const [i, { widthMs }] of this.levels.entries()) {
      this.addBucket(i, [Math.floor(at / widthMs), good, total, excluded])
    }
  }

  /** Adds to one level alone: what {@link buckets} gave. */
  addBucket(level: number, [number, good, total, excluded]: Bucket): void {
    const { buckets } = this.levels[level] as Level
    const ring = this.#rings[level] as Float64Array
    const place = (((number % buckets) + buckets) % buckets) * 4
    const stamp = ring[place] as number
    if (stamp > number + 1) return // a newer bucket is there: this one is older than the level reaches
    if (stamp < number + 1) ring.fill(0, place, place + 4)
    ring[place] = number + 1
    ring[place + 1] = (ring[place + 1] as number) + good
    ring[place + 2] = (ring[place + 2] as number) + total
    ring[place + 3] = (ring[place + 3] as number) + excluded
  }

  /** Events of the buckets that begin at `from` or later, up to `to`. */
  sum(from: number, to: number): EventCounts {
    const level = this.#levelFor(from, to)
    const { widthMs } = this.levels[level] as Level
    return this.#sum(level, Math.ceil(from / widthMs), Math.floor(to / widthMs))
  }

  /**
   * The same in `parts` parts of equal length, oldest first; `at` is the end of a part. `whole`: with all of the bucket that
   * `from` is in.
   */
  parts(from: number, to: number, parts: number, whole = false): { at: number; good: number; total: number }[] {
    const level = this.#levelFor(from, to)
    const { widthMs } = this.levels[level] as Level
    const first = whole ? Math.floor(from / widthMs) : Math.ceil(from / widthMs)
    const last = Math.floor(to / widthMs)
    const each = Math.max(1, Math.ceil((last - first + 1) / parts))
    const list: { at: number; good: number; total: number }[] = []
    for (let start = first; start <= last; start += each) {
      const end = Math.min(last, start + each - 1)
      const { good, total } = this.#sum(level, start, end)
      list.push({ at: Math.min(to, (end + 1) * widthMs), good, total })
    }
    return list
  }

  /** Buckets of a level that have events, oldest first. */
  buckets(level: number): Bucket[] {
    const ring = this.#rings[level] as Float64Array
    const list: Bucket[] = []
    for (let place = 0; place < ring.length; place += 4) {
      const [stamp = 0, good = 0, total = 0, excluded = 0] = ring.subarray(place, place + 4)
      if (stamp !== 0 && (total > 0 || excluded > 0)) list.push([stamp - 1, good, total, excluded])
    }
    return list.sort(([a], [b]) => a - b)
  }

  #levelFor(from: number, to: number): number {
    const found = this.levels.findIndex(({ widthMs, buckets }) => (buckets - 1) * widthMs >= to - from)
    return found < 0 ? this.levels.length - 1 : found
  }

  #sum(level: number, first: number, last: number): EventCounts {
    const { buckets } = this.levels[level] as Level
    const ring = this.#rings[level] as Float64Array
    let { good, total, excluded } = NO_EVENTS
    for (let number = Math.max(first, last - buckets + 1); number <= last; number++) {
      const place = (((number % buckets) + buckets) % buckets) * 4
      if (ring[place] !== number + 1) continue
      good += ring[place + 1] as number
      total += ring[place + 2] as number
      excluded += ring[place + 3] as number
    }
    return { good, total, excluded }
  }
}
