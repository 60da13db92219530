import { describe, expect, it } from 'vitest'
import {
  countAtMost,
  type LatencyHistogram,
  newHistogram,
  record,
  valueAtRank,
} from '../../../src/profile/histogram.js'
import { curveOf, latencySummary, shareInterval } from '../../../src/profile/percentiles.js'
import { seededRandom } from '../../../src/profile/random.js'
import { BLOCKS } from '../../../src/profile/recorder.js'
import type { Estimate } from '../../../src/profile/report-types.js'

const MS = 1e6

/** A run of `count` latencies (nanoseconds), oldest first, cut into blocks. */
function blocksOf(count: number, latency: (i: number) => number): LatencyHistogram[] {
  const blocks = Array.from({ length: BLOCKS }, newHistogram)
  for (let i = 0; i < count; i++) {
    record(blocks[Math.floor((i / count) * BLOCKS)] as LatencyHistogram, latency(i))
  }
  return blocks
}

function summaryOf(blocks: LatencyHistogram[]) {
  const whole = newHistogram()
  for (const block of blocks) whole.add(block)
  return latencySummary(blocks, whole)
}

describe('a histogram', () => {
  it('gives the value of a rank and the count below a value', () => {
    const histogram = newHistogram()
    for (let i = 1; i <= 1000; i++) record(histogram, i)
    expect(valueAtRank(histogram, 1)).toBe(1)
    expect(valueAtRank(histogram, 500)).toBe(500)
    expect(valueAtRank(histogram, 1000)).toBe(1000)
    expect(countAtMost(histogram, 500)).toBe(500)
    expect(countAtMost(histogram, 0)).toBe(0)
    expect(countAtMost(histogram, 5000)).toBe(1000)
  })
})

describe('the interval of a percentile', () => {
  it('is that of Clopper and Pearson for independent samples', () => {
    // 90 of 100: the textbook interval is 0.8238 to 0.9510.
    const [low, high] = shareInterval(0.9, 100)
    expect(low).toBeCloseTo(0.8238, 3)
    expect(high).toBeCloseTo(0.951, 3)
  })

  it('holds the true percentile in at least 95 of 100 runs', () => {
    const truth = { p50: Math.log(2), p99: Math.log(100) }
    let held = { p50: 0, p99: 0 }
    for (let seed = 1; seed <= 100; seed++) {
      const random = seededRandom(seed)
      const summary = summaryOf(blocksOf(4000, () => MS * -Math.log(1 - random())))
      const holds = (p: 'p50' | 'p99'): number => {
        const { low, high } = summary[p] as Estimate
        return low <= truth[p] * 1000 && truth[p] * 1000 <= high ? 1 : 0
      }
      held = { p50: held.p50 + holds('p50'), p99: held.p99 + holds('p99') }
    }
    expect(held.p50).toBeGreaterThanOrEqual(95)
    expect(held.p99).toBeGreaterThanOrEqual(95)
  })

  it('is wider where slow requests come together', () => {
    const random = seededRandom(3)
    const slow = (i: number): boolean => Math.floor(i / 500) % 9 === 0
    const apart = blocksOf(20_000, () => MS * (1 + random() + (random() < 1 / 9 ? 10 : 0)))
    const together = blocksOf(20_000, (i) => MS * (1 + random() + (slow(i) ? 10 : 0)))
    const width = ({ low, high }: Estimate): number => high - low
    const [one, other] = [summaryOf(apart).p50 as Estimate, summaryOf(together).p50 as Estimate]
    expect(width(other)).toBeGreaterThan(2 * width(one))
  })

  it('is not given where too few samples lie beyond the percentile; the number that is wanting is', () => {
    const random = seededRandom(1)
    const summary = summaryOf(blocksOf(3000, () => MS * (1 + random())))
    expect(summary.p99).toHaveProperty('low')
    expect(summary.p999).toEqual({ needs: 7000 })
    expect(summaryOf(blocksOf(9999, () => MS)).p999).toEqual({ needs: 1 })
    expect(summaryOf(blocksOf(10_000, () => MS * (1 + random()))).p999).toHaveProperty('low')
  })

  it('of nothing is nothing', () => {
    expect(summaryOf(blocksOf(0, () => 1))).toMatchObject({ count: 0, mean: 0, max: 0, p50: { needs: 20 } })
    expect(curveOf(newHistogram())).toEqual([])
  })
})

describe('the curve', () => {
  it('goes from the smallest value over 99.99 % to the largest, and never down', () => {
    const histogram = newHistogram()
    const random = seededRandom(1)
    for (let i = 0; i < 100_000; i++) record(histogram, MS * random())
    const curve = curveOf(histogram)
    expect(curve.map((point) => point.percentile)).toEqual(expect.arrayContaining([0, 50, 90, 99, 99.9, 99.99, 100]))
    curve.forEach((point, i) => {
      expect(point.us).toBeGreaterThanOrEqual(curve[i - 1]?.us ?? 0)
      expect(point.percentile).toBeGreaterThan(curve[i - 1]?.percentile ?? -1)
    })
    expect(curve.find((point) => point.percentile === 90)?.us).toBeCloseTo(900, -1)
  })
})
