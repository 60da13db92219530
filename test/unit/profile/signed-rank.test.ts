import { describe, expect, it } from 'vitest'
import { seededRandom } from '../../../src/profile/random.js'
import { fewestValues, signedRankCentre } from '../../../src/profile/signed-rank.js'
import { studentWithin } from '../../../src/profile/student.js'

describe("Student's t", () => {
  it('has the quantiles of the printed tables', () => {
    const table: [confidence: number, degrees: number, t: number][] = [
      [0.95, 1, 12.7062],
      [0.95, 2, 4.3027],
      [0.95, 4, 2.7764],
      [0.95, 9, 2.2622],
      [0.999, 1, 636.619],
      [0.999, 7, 5.4079],
      [0.95, Number.POSITIVE_INFINITY, 1.96],
      [0.999, Number.POSITIVE_INFINITY, 3.2905],
    ]
    for (const [confidence, degrees, t] of table) expect(studentWithin(confidence, degrees) / t).toBeCloseTo(1, 4)
  })
})

describe('the centre by signed ranks', () => {
  it('of eight values is worked out by hand', () => {
    // P(rank sum ≤ 3) = 5/256 and P(≤ 4) = 7/256: of the 36 means the fourth from either end bounds 95 %.
    const { value, low, high } = signedRankCentre([1, 2, 4, 8, 16, 32, 64, 128], 0.95)
    // From below 1, 1.5, 2, 2.5; from above 128, 96, 80, 72. Fifteen are 16 or less, then 16.5, 17, 18, 20.
    expect([value, low, high]).toEqual([19, 2.5, 72])
  })

  it('of six values reaches from the smallest to the largest, and fewer bear out none', () => {
    expect(fewestValues(0.95)).toBe(6)
    expect(signedRankCentre([6, 1, 5, 2, 4, 3], 0.95)).toEqual({ value: 3.5, low: 1, high: 6 })
    expect(() => signedRankCentre([1, 2, 3, 4, 5], 0.95)).toThrow(RangeError)
    expect(() => signedRankCentre([1, 2, 3, 4, 5, Number.NaN], 0.95)).toThrow(RangeError)
  })

  it('is exact where values are alike, and where the centre is 0', () => {
    expect(signedRankCentre([7, 7, 7, 7, 7, 7], 0.95)).toEqual({ value: 7, low: 7, high: 7 })
    expect(signedRankCentre([-1, -2, -3, 1, 2, 3, 0], 0.95).value).toBeCloseTo(0, 12)
  })

  it('of thousands of values is the list of all means, cut where the normal approximation says', () => {
    const random = seededRandom(1)
    const values = Array.from({ length: 1201 }, () => Math.log(random()) - Math.log(random()))
    const means = values.flatMap((a, i) => values.slice(i).map((b) => (a + b) / 2)).sort((a, b) => a - b)
    const mean = (1201 * 1202) / 4
    const cut = Math.floor(mean - 1.959964 * Math.sqrt((1201 * 1202 * 2403) / 24))
    const { value, low, high } = signedRankCentre(values, 0.95)
    expect(value).toBe(means[(means.length - 1) / 2])
    expect(low).toBe(means[cut])
    expect(high).toBe(means[means.length - 1 - cut])
  })

  it('changes little where the exact cut gives way to the approximate one', () => {
    const width = (count: number): number => {
      const { low, high } = signedRankCentre(
        Array.from({ length: count }, (_, i) => i / count),
        0.95,
      )
      return (high - low) * Math.sqrt(count)
    }
    expect(width(501) / width(500)).toBeCloseTo(1, 2)
  })
})
