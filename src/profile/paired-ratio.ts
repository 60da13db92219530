import type { Estimate } from './report-types.js'
import { signedRankCentre } from './signed-rank.js'

/**
 * The ratio of two builds from paired rounds, with an interval that needs no assumption about the shape of the noise.
 *
 * The logarithms of the rounds' ratios are treated by Wilcoxon's signed ranks ({@link signedRankCentre}).
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
 * @throws RangeError with fewer rounds than fewestValues() asks for
 */
export function pairedRatio(before: readonly number[], after: readonly number[], confidence: number): Estimate {
  const logs = before.map((value, round) => Math.log((after[round] as number) / value))
  if (before.length !== after.length || !logs.every(Number.isFinite)) {
    throw new RangeError('a ratio needs two figures above 0 in every round')
  }
  const { value, low, high } = signedRankCentre(logs, confidence)
  return { value: Math.exp(value), low: Math.exp(low), high: Math.exp(high) }
}
