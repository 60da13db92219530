import { describe, expect, it } from 'vitest'
import { incompleteBeta, inverseIncompleteBeta } from '../../../src/profile/incomplete-beta.js'

/** P(Bin(n, q) <= k), added up. */
function binomial(n: number, k: number, q: number): number {
  let term = (1 - q) ** n
  let sum = term
  for (let i = 1; i <= k; i++) {
    term *= ((n - i + 1) / i) * (q / (1 - q))
    sum += term
  }
  return sum
}

describe('the incomplete beta function', () => {
  it.each([
    [10, 3, 0.2],
    [100, 0, 0.01],
    [662, 1, 0.01],
    [500, 260, 0.5],
    [2048, 173, 0.1],
  ])('is the distribution function of the binomial (n %i, k %i, q %d)', (n, k, q) => {
    const sum = binomial(n, k, q)
    expect(incompleteBeta(1 - q, n - k, k + 1) / sum).toBeCloseTo(1, 9)
  })

  it('is symmetric, and 0 and 1 at its ends', () => {
    expect(incompleteBeta(0.3, 2.5, 7)).toBeCloseTo(1 - incompleteBeta(0.7, 7, 2.5), 12)
    expect(incompleteBeta(0, 2, 3)).toBe(0)
    expect(incompleteBeta(1, 2, 3)).toBe(1)
  })

  it('has an inverse, also for millions', () => {
    for (const [a, b] of [
      [3, 4],
      [990_000, 10_001],
      [0.5, 12],
    ] as const) {
      for (const share of [0.025, 0.5, 0.975]) {
        expect(incompleteBeta(inverseIncompleteBeta(share, a, b), a, b)).toBeCloseTo(share, 6)
      }
    }
  })
})
