import { incompleteBeta } from '../profile/incomplete-beta.js'
import type { Estimate } from '../profile/report-types.js'

/** The 97.5 % quantile of the normal distribution. */
const Z = 1.959963984540054

/**
 * A share of `all` with its 95 % interval (Wilson, "Probable inference, the law of succession, and statistical inference",
 * JASA 22, 1927): it never leaves 0 to 1 and covers as it says for shares near 1 too, where the usual plus-minus does not
 * (Brown, Cai, DasGupta, Statistical Science 16, 2001).
 */
export function wilson(of: number, all: number): Estimate {
  if (all === 0) return { value: 0, low: 0, high: 1 }
  const share = of / all
  const z2 = Z * Z
  const middle = (share + z2 / (2 * all)) / (1 + z2 / all)
  const half = (Z / (1 + z2 / all)) * Math.sqrt((share * (1 - share)) / all + z2 / (4 * all * all))
  return { value: share, low: Math.max(0, middle - half), high: Math.min(1, middle + half) }
}

/**
 * The difference of two shares of the same rows with its 95 % interval: only rows that one had right and the other wrong
 * count (Bonett, Price, "Adjusted Wald confidence interval for a difference of binomial proportions based on paired data",
 * Journal of Educational and Behavioral Statistics 37, 2012: one row added to each kind, so that it is not empty where no
 * row differs).
 *
 * @param onlyFirst rows that only the first had right
 * @param onlySecond rows that only the second had right
 * @returns first minus second, a share
 */
export function pairedDifference(onlyFirst: number, onlySecond: number, all: number): Estimate {
  if (all === 0) return { value: 0, low: -1, high: 1 }
  const first = (onlyFirst + 1) / (all + 2)
  const second = (onlySecond + 1) / (all + 2)
  const middle = first - second
  const half = Z * Math.sqrt((first + second - middle * middle) / (all + 2))
  return {
    value: (onlyFirst - onlySecond) / all,
    low: Math.max(-1, middle - half),
    high: Math.min(1, middle + half),
  }
}

/** McNemar's test, exact and two-sided: how likely so lopsided a split is where neither is better. */
export function mcnemar(onlyFirst: number, onlySecond: number): number {
  const all = onlyFirst + onlySecond
  const least = Math.min(onlyFirst, onlySecond)
  if (all === 0) return 1
  // P(Bin(all, 1/2) ≤ least)
  const tail = least >= all ? 1 : incompleteBeta(0.5, all - least, least + 1)
  return Math.min(1, 2 * tail)
}
