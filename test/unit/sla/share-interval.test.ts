import { expect, it } from 'vitest'
import { fewestToConfirm, shareInterval } from '../../../src/sla/share-interval.js'

/** By the binomial distribution itself, summed. */
function atLeast(good: number, n: number, p: number): number {
  let sum = 0
  let log = n * Math.log(1 - p)
  for (let k = 0; k <= n; k++) {
    if (k >= good) sum += Math.exp(log)
    log += Math.log((n - k) / (k + 1)) + Math.log(p / (1 - p))
  }
  return sum
}

it('gives the intervals of Clopper and Pearson', () => {
  // Closed forms: all good of n has low = 0.025^(1/n), none good has high = 1 - 0.025^(1/n).
  expect(shareInterval(10, 10)).toEqual({ low: expect.closeTo(0.025 ** 0.1, 10), high: 1 })
  expect(shareInterval(0, 10)).toEqual({ low: 0, high: expect.closeTo(1 - 0.025 ** 0.1, 10) })
  // Printed in tables: 5 of 10.
  expect(shareInterval(5, 10)).toEqual({ low: expect.closeTo(0.1871, 4), high: expect.closeTo(0.8129, 4) })
})

it.each([
  [1, 20],
  [97, 100],
  [495, 500],
])('%i of %i: at either end the probability of such a count, or a further one, is 2.5 in a hundred', (good, n) => {
  const { low, high } = shareInterval(good, n)
  expect(atLeast(good, n, low)).toBeCloseTo(0.025, 6)
  expect(1 - atLeast(good + 1, n, high)).toBeCloseTo(0.025, 6)
})

it('says how many events it takes, all of them good, to confirm a target', () => {
  for (const target of [0.5, 0.9, 0.99, 0.999]) {
    const n = fewestToConfirm(target)
    expect(shareInterval(n, n).low).toBeGreaterThanOrEqual(target)
    expect(shareInterval(n - 1, n - 1).low).toBeLessThan(target)
  }
  expect(fewestToConfirm(0.99)).toBe(368)
  expect(fewestToConfirm(0)).toBe(1)
})
