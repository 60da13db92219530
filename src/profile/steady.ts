/** Observations a batch: the 5 of MSER-5. */
const BATCH = 5
/** Batches before anything is said: with fewer, the rule finds a steady state in anything. */
const LEAST = 10

/**
 * Finds the end of the warm-up by the rule MSER-5: of all places to cut the series of batch means, the best is the one
 * that makes the standard error of the mean of the rest smallest (White, "An effective truncation heuristic for bias
 * reduction in simulation output", Simulation 69, 1997; White, Cobb and Spratt, Proc. Winter Simulation Conference 2000).
 * A cut in the second half says that the run is still settling. Observations are mean latencies of short windows.
 */
export class SteadyState {
  readonly #batches: number[] = []
  #sum = 0
  #count = 0

  /** Mean latency of one more window; returns whether the series is steady by now. */
  observe(mean: number): boolean {
    this.#sum += mean
    if (++this.#count < BATCH) return false
    this.#batches.push(this.#sum / BATCH)
    this.#sum = 0
    this.#count = 0
    const n = this.#batches.length
    return n >= LEAST && bestCut(this.#batches) <= n / 2
  }
}

/** How many batches MSER leaves out. The last five are never alone: their variance says nothing. */
export function bestCut(values: readonly number[]): number {
  let best = Number.POSITIVE_INFINITY
  let cut = 0
  let sum = 0
  let squares = 0
  for (let d = values.length - 1; d >= 0; d--) {
    const value = values[d] as number
    sum += value
    squares += value * value
    const n = values.length - d
    if (n < 5) continue
    const error = Math.max(0, squares - (sum * sum) / n) / (n * n)
    if (error <= best) {
      best = error
      cut = d
    }
  }
  return cut
}
