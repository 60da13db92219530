import { expect, it } from 'vitest'
import { surelyBroken } from '../../../src/sla/early-verdict.js'

it.each([
  // Exact tails by hand: 10 of 10 bad at 10 % allowed is 1e-10, 5 of 5 is 1e-5.
  [0, 10, 0.9, true],
  [0, 5, 0.9, false],
  // 2 % bad against 1 %: by chance in 2,000 requests, not in 6,000.
  [1960, 2000, 0.99, false],
  [5880, 6000, 0.99, true],
  // As much as is allowed, and less.
  [99_000, 100_000, 0.99, false],
  [100_000, 100_000, 0.99, false],
  [0, 0, 0.99, false],
])('%i good of %i at a target of %d: beyond doubt %s', (good, total, target, broken) => {
  expect(surelyBroken(good, total, target)).toBe(broken)
})

it('agrees with the sum of all terms', () => {
  for (const [bad, n, p] of [
    [8, 50, 0.02],
    [9, 50, 0.02],
    [10, 50, 0.02],
    [12, 400, 0.003],
  ] as const) {
    let tail = 0
    for (let k = bad; k <= n; k++) {
      let term = 1
      for (let i = 1; i <= k; i++) term *= ((n - k + i) / i) * p
      tail += term * (1 - p) ** (n - k)
    }
    expect(surelyBroken(n - bad, n, 1 - p)).toBe(tail < 1e-6)
  }
})
