import { createHistogram, type RecordableHistogram } from 'node:perf_hooks'

/** Nanoseconds with three significant digits, to an hour (an HDR histogram; 270 KB). */
export type LatencyHistogram = RecordableHistogram

export function newHistogram(): LatencyHistogram {
  return createHistogram({ lowest: 1, highest: 3_600e9, figures: 3 })
}

/** Records nanoseconds; clocks that read the same twice give 1. */
export function record(histogram: LatencyHistogram, ns: number): void {
  histogram.record(Math.min(3_600e9, Math.max(1, Math.round(ns))))
}

/** The value of this rank among those recorded, 1 being the smallest. */
export function valueAtRank(histogram: LatencyHistogram, rank: number): number {
  const { count } = histogram
  if (count === 0) return 0
  const kept = Math.min(count, Math.max(1, Math.round(rank)))
  // The histogram rounds percent * count to a rank; a quarter below keeps it from rounding up.
  return Math.min(histogram.percentile((100 * (kept - 0.25)) / count), histogram.max)
}

/** How many recorded values are at most `ns`, to the histogram's precision. */
export function countAtMost(histogram: LatencyHistogram, ns: number): number {
  let low = 0
  let high = histogram.count
  while (low < high) {
    const middle = Math.ceil((low + high) / 2)
    if (valueAtRank(histogram, middle) <= ns) low = middle
    else high = middle - 1
  }
  return low
}
