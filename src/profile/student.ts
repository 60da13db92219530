import { inverseIncompleteBeta } from './incomplete-beta.js'

/** Student's t with so many degrees of freedom is the normal distribution to five digits. */
const AS_GOOD_AS_NORMAL = 1e6

/**
 * The t for which Student's distribution lies within -t and t with probability `confidence`: 2.262 for 0.95 and 9
 * degrees of freedom, 1.96 for infinitely many. P(|T| > t) = I_x(v / 2, 1 / 2) with x = v / (v + t²) (DLMF 8.17,
 * Abramowitz and Stegun 26.7.1).
 */
export function studentWithin(confidence: number, degrees: number): number {
  const v = Math.min(degrees, AS_GOOD_AS_NORMAL)
  const x = inverseIncompleteBeta(1 - confidence, v / 2, 0.5)
  return Math.sqrt((v * (1 - x)) / x)
}
