import { studentWithin } from './student.js'

/** With more values the normal approximation misses the exact cut by a rank or two of thousands. */
const EXACT_UP_TO = 500

/**
 * The centre of values that lie evenly about it, with an interval that asks nothing else of their distribution.
 *
 * By Wilcoxon's signed ranks: the centre is the median of all pairwise means (Hodges and Lehmann, Annals of Mathematical
 * Statistics 34, 1963), the interval holds every centre that the exact test does not reject (Tukey; Hollander, Wolfe,
 * Chicken, Nonparametric Statistical Methods, 3rd ed. 2014, 3.2 and 3.3, for many values with its normal approximation).
 *
 * @throws RangeError with fewer values than {@link fewestValues}, or one that is no number
 */
export function signedRankCentre(
  values: readonly number[],
  confidence: number,
): { value: number; low: number; high: number } {
  if (!values.every(Number.isFinite)) throw new RangeError('a centre needs finite values')
  if (values.length < fewestValues(confidence)) {
    throw new RangeError(`${values.length} values bear out no interval of ${100 * confidence} %`)
  }
  const sorted = Float64Array.from(values).sort()
  const pairs = (sorted.length * (sorted.length + 1)) / 2
  const cut = rankSumCut(sorted.length, (1 - confidence) / 2)
  return {
    value: (pairwiseMean(sorted, (pairs - 1) >> 1) + pairwiseMean(sorted, pairs >> 1)) / 2,
    low: pairwiseMean(sorted, cut),
    high: pairwiseMean(sorted, pairs - 1 - cut),
  }
}

/** With fewer values even the widest interval, from the smallest to the largest, is less sure than that: 6 for 0.95. */
export function fewestValues(confidence: number): number {
  return Math.ceil(1 - Math.log2(1 - confidence))
}

/**
 * The k-th smallest (from 0) of the means (a + b) / 2 of every pair, each value with itself too. Thousands of values have
 * millions of pairs, so they are counted and not listed: the answer is the least value with more than k means up to it.
 */
function pairwiseMean(sorted: Float64Array, k: number): number {
  let low = sorted[0] as number
  let high = sorted.at(-1) as number
  if (meansUpTo(sorted, low) > k) return low
  for (let middle = (low + high) / 2; low < middle && middle < high; middle = (low + high) / 2) {
    if (meansUpTo(sorted, middle) > k) high = middle
    else low = middle
  }
  return high
}

function meansUpTo(sorted: Float64Array, limit: number): number {
  let count = 0
  let other = sorted.length - 1
  for (let i = 0; i <= other; i++) {
    while (other >= i && ((sorted[i] as number) + (sorted[other] as number)) / 2 > limit) other--
    count += Math.max(0, other - i + 1)
  }
  return count
}

/** The largest k with P(rank sum ≤ k) ≤ `tail` when each of `n` ranks is in the sum with probability one half. */
function rankSumCut(n: number, tail: number): number {
  const mean = (n * (n + 1)) / 4
  if (n > EXACT_UP_TO) {
    const spread = Math.sqrt((mean * (2 * n + 1)) / 6)
    return Math.floor(mean - studentWithin(1 - 2 * tail, Number.POSITIVE_INFINITY) * spread)
  }
  const middle = Math.floor(mean) // no cut of a tail lies beyond it
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
