import { inverseIncompleteBeta } from '../profile/incomplete-beta.js'

/** Two-sided; 2.5 % on each side. */
export const CONFIDENCE = 0.95

/**
 * Between which shares the true one lies with 95 % confidence when `good` of `total` independent events were good
 * (Clopper and Pearson 1934, exact: never covers less). Neither number need be whole, so that dependent events can be
 * counted as fewer.
 */
export function shareInterval(good: number, total: number): { readonly low: number; readonly high: number } {
  const half = (1 - CONFIDENCE) / 2
  return {
    low: good <= 0 ? 0 : inverseIncompleteBeta(half, good, total - good + 1),
    high: good >= total ? 1 : inverseIncompleteBeta(1 - half, good + 1, total - good),
  }
}

/** How many events, all of them good, it takes to say that a share of `target` is reached. */
export function fewestToConfirm(target: number): number {
  return target <= 0 ? 1 : Math.ceil(Math.log((1 - CONFIDENCE) / 2) / Math.log(target))
}
