/** Observations a batch: the 5 of MSER-5. */
const BATCH = 5
/** Batches before anything is said: with fewer, the rule finds a steady state in anything. */
const LEAST = 10

/** A difference between the halves of what is left counts when it is as large as this, and as many standard errors. */
const TREND = 0.1
const ERRORS = 3

/**
 * Finds the end of the warm-up by the rule MSER-5: of all places to cut the series of batch means, the best is the one
 * that makes the standard error of the mean of the rest smallest (White, "An effective truncation heuristic for bias
 * reduction in simulation output", Simulation 69, 1997; White, Cobb and Spratt, Proc. Winter Simulation Conference 2000).
 * A cut in the second half says that the run is still settling. The rule does not see a steady trend, so what it leaves
 * must also have the same mean in both its halves (as Geweke's diagnostic compares the parts of a chain, Bayesian
 * Statistics 4, 1992). Observations are mean latencies of short windows.
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
    if (n < LEAST) return false
    const cut = bestCut(this.#batches)
    return cut <= n / 2 && !hasTrend(this.#batches.slice(cut))
  }
}

function hasTrend(values: readonly number[]): boolean {
  const half = values.length >> 1
  const [early, late] = [moments(values.slice(0, half)), moments(values.slice(half))]
  const difference = Math.abs(early.mean - late.mean)
  const error = Math.sqrt(early.variance / half + late.variance / (values.length - half))
  return difference > TREND * Math.min(early.mean, late.mean) && difference > ERRORS * error
}

function moments(values: readonly number[]): { mean: number; variance: number } {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0)
  return { mean, variance: squares / Math.max(1, values.length - 1) }
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
