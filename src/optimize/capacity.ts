import type { TrialFigures } from './types.js'

export interface CapacityOptions {
  readonly limitUs: number
  /** The rate that is tried first, requests a second. */
  readonly from: number
  /** How far the first step away from it goes, a factor; the steps grow until the limit lies between two rates. */
  readonly step: number
  /** Runs at most. */
  readonly trials: number
  /** How often a rate is tried again where the generator was late and no rate was kept yet; 0 by default. */
  readonly retries?: number
  trial(rate: number, number: number): Promise<TrialFigures>
}

export interface Capacity {
  readonly capacity: number
  readonly trials: readonly TrialFigures[]
  readonly bound?: string
}

/** Below that a search for a rate gives up, requests a second. */
const LOWEST = 0.5
/** A bracket so narrow is not halved again: further runs are spread about the estimate, which sharpens it more. */
const NARROW = 1.06
/** A latency beyond so many limits counts as that: how much too slow a queue without end is says nothing. */
const FAR = 8
/** From a rate at which the generator was late, down by so much. */
const LATE_STEP = 1.7
const AROUND = [1, 0.96, 1.04] as const
/** And below them all, where the fit says that all of them were too much. */
const BELOW = 0.9

/**
 * The highest rate at which p99 stays within the limit, from a fixed number of open-loop runs: steps away from the first
 * rate until the limit lies between two, bisection (of logarithms), then runs about the estimate.
 *
 * The value of p99 decides, not the upper end of its interval: the intervals of short runs reach far, so that the bound
 * would favour whatever was measured longer; what the noise does to the capacity shows between repeats. The answer is not
 * the highest rate that happened to keep the limit, which more runs would push up by luck alone: latency is fitted over
 * all runs as something that does not fall with the rate ({@link crossing}).
 *
 * A run whose generator was late and that missed the limit is made once more where a lower rate was kept; then the search
 * goes no higher and says so.
 * Where it kept the limit all the same it counts: lateness is part of the latency, so the run was harder, not easier.
 */
export async function findCapacity(options: CapacityOptions): Promise<Capacity> {
  const { limitUs } = options
  const trials: TrialFigures[] = []
  let low = 0
  let high = Number.POSITIVE_INFINITY
  let step = options.step
  let rate = rounded(options.from)
  let bound: string | undefined
  const lateTimes = (at: number): number =>
    trials.filter((past) => past.rate === at && past.invalid !== undefined && past.p99Us > limitUs).length
  let refined = 0
  // A search that has met no rate that is kept knows nothing yet: it may go on for as long again.
  const over = (): boolean => trials.length >= (low === 0 && !missed ? 2 : 1) * options.trials
  let missed = false
  while (!over() && rate >= LOWEST) {
    const found = await options.trial(rate, trials.length)
    trials.push(found)
    if (found.p99Us > limitUs) {
      if (found.invalid === undefined) missed = true
      else if (lateTimes(rate) <= (low > 0 ? 1 : (options.retries ?? 0))) continue
      else {
        bound = found.invalid
        // How far below is anybody's guess: a generator that is late says nothing of the model.
        if (low === 0) step = Math.max(step, LATE_STEP)
      }
    }
    if (refined === 0) {
      if (found.p99Us <= limitUs) low = rate
      else high = rate
    }
    if (refined > 0 || (low > 0 && high / low <= NARROW)) {
      const points = usable(trials, limitUs)
      const estimate = crossing(points, limitUs)
      const lowest = Math.min(...points.map((point) => point.rate))
      const around = AROUND[refined++ % AROUND.length] as number
      rate = rounded(estimate > lowest ? estimate * around : lowest * BELOW)
    } else if (high === Number.POSITIVE_INFINITY || low === 0) {
      rate = rounded(low === 0 ? high / step : low * step)
      step = Math.min(2, step * step)
    } else {
      rate = rounded(Math.sqrt(low * high))
    }
  }
  const points = usable(trials, limitUs)
  const capacity = crossing(points, limitUs)
  const highest = Math.max(0, ...points.map((point) => point.rate))
  if (capacity > 0 && capacity >= highest && bound === undefined) bound = 'no higher rate was tried'
  return { capacity, trials, ...(bound === undefined ? {} : { bound }) }
}

function usable(trials: readonly TrialFigures[], limitUs: number): TrialFigures[] {
  return trials.filter((trial) => trial.sent > 0 && (trial.invalid === undefined || trial.p99Us <= limitUs))
}

/**
 * Where latency crosses the limit. The logarithms of p99 over those of the rate are fitted by the nearest line that never
 * falls (isotonic regression by pooling adjacent violators: Ayer, Brunk, Ewing, Reid, Silverman, "An empirical
 * distribution function for sampling with incomplete information", Annals of Mathematical Statistics 26, 1955), each run
 * weighted by its requests, and the line is read off between the two runs on either side of the limit.
 *
 * @returns 0 where no run keeps the limit; the highest rate where all do
 */
export function crossing(trials: readonly TrialFigures[], limitUs: number): number {
  const points = [...trials].sort((a, b) => a.rate - b.rate)
  if (points.length === 0) return 0
  const fitted = isotonic(
    points.map(({ p99Us }) => Math.log(Math.min(Math.max(p99Us, 1), FAR * limitUs))),
    points.map(({ sent }) => Math.max(1, sent)),
  )
  const limit = Math.log(limitUs)
  const above = fitted.findIndex((value) => value > limit)
  if (above < 0) return points.at(-1)?.rate ?? 0
  // Chance kept the limit at a rate that is too high: the true one lies below, nobody knows how far.
  if (above === 0) return points.some(({ p99Us }) => p99Us <= limitUs) ? (points[0]?.rate ?? 0) : 0
  const [from, to] = [points[above - 1] as TrialFigures, points[above] as TrialFigures]
  const [y0, y1] = [fitted[above - 1] as number, fitted[above] as number]
  const share = (limit - y0) / (y1 - y0)
  return Math.exp(Math.log(from.rate) + share * (Math.log(to.rate) - Math.log(from.rate)))
}

/** The sequence that never falls and is nearest to `values`, by weighted least squares. */
export function isotonic(values: readonly number[], weights: readonly number[]): number[] {
  const blocks: { value: number; weight: number; count: number }[] = []
  values.forEach((value, i) => {
    let block = { value, weight: weights[i] as number, count: 1 }
    for (let last = blocks.at(-1); last !== undefined && last.value >= block.value; last = blocks.at(-1)) {
      blocks.pop()
      const weight = last.weight + block.weight
      block = {
        value: (last.value * last.weight + block.value * block.weight) / weight,
        weight,
        count: last.count + block.count,
      }
    }
    blocks.push(block)
  })
  return blocks.flatMap(({ value, count }) => Array.from({ length: count }, () => value))
}

function rounded(rate: number): number {
  return rate >= 100 ? Math.round(rate) : Number(rate.toPrecision(3))
}
