/**
 * The Kolmogorov-Smirnov distance of values to a distribution, times the square root of their number. Values below
 * `from` count, but are not told apart: differences of times are not exact.
 */
export function kolmogorovSmirnov(
  values: readonly number[],
  cumulative: (x: number) => number,
  from = Number.NEGATIVE_INFINITY,
): number {
  const sorted = [...values].sort((a, b) => a - b)
  const n = sorted.length
  let distance = 0
  sorted.forEach((value, i) => {
    if (value < from) return
    const expected = cumulative(value)
    distance = Math.max(distance, Math.abs(expected - i / n), Math.abs((i + 1) / n - expected))
  })
  return distance * Math.sqrt(n)
}

/** What the distance exceeds in one of a hundred cases when the distribution is right (its limit for large n). */
export const ONE_IN_A_HUNDRED = 1.628

export const exponential = (x: number): number => 1 - Math.exp(-x)

/** The distribution function of a gamma variate of scale 1, by its series. */
export function gamma(shape: number): (x: number) => number {
  let logFactorial = 0
  let z = shape + 1
  for (; z < 10; z++) logFactorial -= Math.log(z)
  logFactorial += (z - 0.5) * Math.log(z) - z + 0.5 * Math.log(2 * Math.PI) + 1 / (12 * z) - 1 / (360 * z ** 3)
  return (x) => {
    if (x <= 0) return 0
    let term = 1
    let sum = 1
    for (let n = 1; n < 10_000 && term > sum * 1e-14; n++) {
      term *= x / (shape + n)
      sum += term
    }
    return Math.min(1, Math.exp(shape * Math.log(x) - x - logFactorial) * sum)
  }
}
