import { incompleteBeta } from './incomplete-beta.js'

/** The confidence of MLPerf inference, c = 0.99, with tolerance d = 0. */
const CONFIDENCE = 0.99

/**
 * Early stopping of MLPerf inference (inference_rules.adoc of mlcommons/inference_policies, appendix "Early Stopping
 * Criterion"; loadgen/early_stopping.cc of mlcommons/inference): a system that keeps a latency with probability
 * `percentile` exactly shows at most `over` late queries among `within + over` with probability
 * I(percentile; within, over + 1). Where that is at most 1 %, a system that shows so few is taken to keep it.
 */
function odds(within: number, over: number, percentile: number): number {
  return incompleteBeta(percentile, within, over + 1)
}

/** How many queries within the latency it takes beside `over` late ones. */
export function queriesWithin(over: number, percentile: number): number {
  let low = 1
  let high = 2
  while (odds(high, over, percentile) > 1 - CONFIDENCE) high *= 2
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    if (odds(middle, over, percentile) <= 1 - CONFIDENCE) high = middle
    else low = middle + 1
  }
  return low
}

/** The fewest queries from which an estimate can be made. */
export function fewestQueries(percentile: number): number {
  return queriesWithin(1, percentile) + 1
}

/**
 * How many of the slowest queries may be discarded: the estimate of the percentile is the slowest of the rest.
 * Undefined where there are too few queries.
 */
export function discarded(queries: number, percentile: number): number | undefined {
  if (queries < fewestQueries(percentile)) return undefined
  // The largest number of late queries for which the criterion holds, less one.
  let low = 1
  let high = queries - 1
  while (low < high) {
    const middle = Math.ceil((low + high) / 2)
    if (odds(queries - middle, middle, percentile) <= 1 - CONFIDENCE) low = middle
    else high = middle - 1
  }
  return low - 1
}
