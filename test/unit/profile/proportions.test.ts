import { describe, expect, it } from 'vitest'
import { mcnemar, pairedDifference, wilson } from '../../../src/profile/proportions.js'
import { seededRandom } from '../../../src/profile/random.js'

describe("Wilson's interval", () => {
  it.each([
    // Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
    [81, 263, 0.2553, 0.3662],
    [15, 148, 0.0624, 0.1605],
    [0, 20, 0, 0.1611],
    [1, 29, 0.0061, 0.1718],
  ])('%i of %i: %f to %f', (of, all, low, high) => {
    const interval = wilson(of, all)
    expect(interval.value).toBe(of / all)
    expect(interval.low).toBeCloseTo(low, 4)
    expect(interval.high).toBeCloseTo(high, 4)
  })

  it('says nothing of no rows', () => {
    expect(wilson(0, 0)).toEqual({ value: 0, low: 0, high: 1 })
  })
})

describe('the paired difference', () => {
  it('is open on both sides where no row differs, and the narrower the more rows', () => {
    const few = pairedDifference(0, 0, 100)
    const many = pairedDifference(0, 0, 10_000)
    expect(few.low).toBeCloseTo(-few.high)
    expect(few.high).toBeGreaterThan(0.02)
    expect(many.high).toBeLessThan(0.001)
  })

  it('covers the true difference as often as it says', () => {
    const random = seededRandom(5)
    const [both, first, second] = [0.9, 0.04, 0.02]
    let covered = 0
    const times = 2000
    for (let i = 0; i < times; i++) {
      let [onlyFirst, onlySecond] = [0, 0]
      for (let row = 0; row < 400; row++) {
        const at = random()
        if (at >= both && at < both + first) onlyFirst++
        else if (at >= both + first && at < both + first + second) onlySecond++
      }
      const { low, high } = pairedDifference(onlyFirst, onlySecond, 400)
      if (low <= first - second && first - second <= high) covered++
    }
    expect(covered / times).toBeGreaterThan(0.935)
    expect(covered / times).toBeLessThan(0.975)
  })
})

describe("McNemar's test", () => {
  it.each([
    [0, 0, 1],
    [5, 5, 1],
    [0, 5, 0.0625],
    [1, 9, 0.021484375],
    [10, 0, 0.001953125],
  ])('%i and %i: p = %f', (first, second, p) => {
    expect(mcnemar(first, second)).toBeCloseTo(p, 10)
  })
})
