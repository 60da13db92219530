import type { Estimate } from './report-types.js'

/**
 * The ratio of two builds from paired rounds, with an interval that needs no assumption about the shape of the noise.
 *
 * The logarithms of the rounds' ratios are treated by Wilcoxon's signed ranks: the estimate is the median of all pairwise
 * means (Hodges and Lehmann, Annals of Mathematical Statistics 34, 1963), the interval holds every ratio that the exact
 * test does not reject (Tukey; Hollander, Wolfe, Chicken, Nonparametric Statistical Methods, 3rd ed. 2014, 3.2 and 3.3).
 *
 * Why this one: a coin decides which build of a round goes first, so where the builds are alike the sign of each round's
 * logarithm is a fair coin too, whatever the noise is and however one round's noise hangs on that of the round before
 * (Fisher's randomisation). The exact test then holds its level for any number of rounds. Student's t on a dozen rounds
 * of a noisy machine does not: one round of three times the time moves its mean and widens its interval at once. A
 * bootstrap of so few rounds is too narrow.
 *
 * Rounds are independent processes because that is the level at which figures vary: where memory lies, which CPU a
 * thread wakes on (Kalibera, Jones, Rigorous Benchmarking in Reasonable Time, ISMM 2013).
 *
 * @param before one figure a round, above 0
 * @param after the same rounds
 * @param confidence as 0.999
 * @throws RangeError with fewer rounds than {@link fewestRounds}
 */
export function pairedRatio(before: readonly number[], after: readonly number[], confidence: number): Estimate {
  const logs = before.map((value, round) => Math.log((after[round] as number) / value))
  if (before.length !== after.length || !logs.every(Number.isFinite)) {
    throw new RangeError('a ratio needs two figures above 0 in every round')
  }
  if (logs.length < fewestRounds(confidence)) {
    throw new RangeError(`${logs.length} rounds bear out no interval of ${100 * confidence} %`)
  }
  const means = pairwiseMeans(logs)
  const cut = signedRankCut(logs.length, (1 - confidence) / 2)
  const [low, high] = [means[cut] as number, means[means.length - 1 - cut] as number]
  return { value: Math.exp(medianOfSorted(means)), low: Math.exp(low), high: Math.exp(high) }
}

/** Below so many rounds even the widest interval, from the smallest ratio to the largest, is less sure than that: 11 for 0.999. */
export function fewestRounds(confidence: number): number {
  return Math.ceil(1 - Math.log2(1 - confidence))
}

/** Walsh averages: (a + b) / 2 of every pair, each value with itself too. Sorted. */
function pairwiseMeans(values: readonly number[]): Float64Array {
  const n = values.length
  const means = new Float64Array((n * (n + 1)) / 2)
  let next = 0
  for (let i = 0; i < n; i++) {
    for (let j = i; j < n; j++) means[next++] = ((values[i] as number) + (values[j] as number)) / 2
  }
  return means.sort()
}

function medianOfSorted(sorted: Float64Array): number {
  const middle = sorted.length >> 1
  const upper = sorted[middle] as number
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] as number) + upper) / 2
}

/** The largest k with P(rank sum ≤ k) ≤ `tail` when each of `n` ranks is in the sum with probability one half. */
function signedRankCut(n: number, tail: number): number {
  const middle = (n * (n + 1)) >> 2 // no cut of a tail lies beyond it
  const chance = new Float64Array(middle + 1)
  chance[0] = 1
  for (let rank = 1; rank <= n; rank++) {
    for (let sum = middle; sum >= 0; sum--) {
      const without = chance[sum] as number
      chance[sum] = (without + (sum >= rank ? (chance[sum - rank] as number) : 0)) / 2
    }
  }
  let below = 0
  for (let sum = 0; sum <= middle; sum++) {
    below += chance[sum] as number
    if (below > tail) return Math.max(0, sum - 1)
  }
  return middle
}
