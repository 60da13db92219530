import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CountSeries, levelsFor } from '../../../src/sla/count-series.js'
import { DAY, HOUR, MINUTE, SECOND } from './objectives.js'

const NOW = Date.UTC(2026, 5, 15, 10, 20, 30)

interface Event {
  at: number
  good: number
  total: number
  excluded: number
}

const events = fc.array(
  fc
    .record({ ago: fc.integer({ min: 0, max: 40 * DAY }), total: fc.nat(1000), excluded: fc.nat(5), bad: fc.nat(1000) })
    .map(({ ago, total, excluded, bad }) => ({ at: NOW - ago, good: Math.max(0, total - bad), total, excluded })),
  { maxLength: 200 },
)

function seriesOf(list: readonly Event[], longestMs = 28 * DAY): CountSeries {
  const series = new CountSeries(levelsFor(longestMs))
  for (const { at, ...counts } of list) series.add(at, counts)
  return series
}

const WINDOWS = [SECOND, MINUTE, 5 * MINUTE, 30 * MINUTE, HOUR, 6 * HOUR, 3 * DAY, 28 * DAY]

describe('counts over time', () => {
  it('are the same for every order of the same events, in every window', () => {
    fc.assert(
      fc.property(
        events.chain((list) => fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length }))),
        ([list, shuffled]) => {
          const [a, b] = [seriesOf(list), seriesOf(shuffled)]
          for (const ms of WINDOWS) expect(b.sum(NOW - ms, NOW)).toEqual(a.sum(NOW - ms, NOW))
        },
      ),
    )
  })

  it('never hold an event that is older than the window, and miss at most those of its oldest bucket', () => {
    fc.assert(
      fc.property(events, fc.constantFrom(...WINDOWS), (list, ms) => {
        const series = seriesOf(list)
        const width = series.levels.find(({ widthMs, buckets }) => (buckets - 1) * widthMs >= ms)?.widthMs ?? 0
        const total = (from: number): number =>
          list.filter(({ at }) => at >= from && at <= NOW).reduce((sum, each) => sum + each.total, 0)
        const counted = series.sum(NOW - ms, NOW).total
        expect(counted).toBeLessThanOrEqual(total(NOW - ms))
        expect(counted).toBeGreaterThanOrEqual(total(NOW - ms + width))
      }),
    )
  })

  it('are exact where a window begins with a bucket, as those of calendars do', () => {
    const midnight = Date.UTC(2026, 5, 1)
    const series = seriesOf([
      { at: midnight - 1, good: 1, total: 1, excluded: 0 },
      { at: midnight, good: 10, total: 10, excluded: 0 },
      { at: NOW, good: 100, total: 100, excluded: 0 },
    ])
    expect(series.sum(midnight, NOW).total).toBe(110)
  })

  it('err by the width of a bucket: under 0.4 % of the usual windows', () => {
    const { levels } = new CountSeries(levelsFor(92 * DAY))
    for (const ms of [5 * MINUTE, 30 * MINUTE, HOUR, 6 * HOUR, 3 * DAY, 28 * DAY, 92 * DAY]) {
      const level = levels.find(({ widthMs, buckets }) => (buckets - 1) * widthMs >= ms)
      expect((level?.widthMs ?? ms) / ms).toBeLessThan(ms >= 30 * MINUTE && ms < 6 * HOUR ? 0.0084 : 0.004)
    }
  })

  it('take bounded memory, however long the window is', () => {
    for (const ms of [MINUTE, HOUR, 28 * DAY, 92 * DAY, 366 * DAY, 100 * 366 * DAY]) {
      const buckets = levelsFor(ms).reduce((sum, level) => sum + level.buckets, 0)
      expect(buckets).toBeLessThan(45_000)
      expect(new CountSeries(levelsFor(ms)).sum(NOW - ms, NOW).total).toBe(0)
    }
  })

  it('come back whole from their buckets', () => {
    fc.assert(
      fc.property(events, (list) => {
        const [series, copy] = [seriesOf(list), seriesOf([])]
        for (const [i] of series.levels.entries()) for (const each of series.buckets(i)) copy.addBucket(i, each)
        for (const ms of WINDOWS) expect(copy.sum(NOW - ms, NOW)).toEqual(series.sum(NOW - ms, NOW))
      }),
    )
  })

  it('are split into parts that add up to the whole', () => {
    fc.assert(
      fc.property(events, fc.integer({ min: 1, max: 200 }), (list, count) => {
        const series = seriesOf(list)
        const parts = series.parts(NOW - 28 * DAY, NOW, count)
        expect(parts.length).toBeLessThanOrEqual(count)
        expect(parts.reduce((sum, { total }) => sum + total, 0)).toBe(series.sum(NOW - 28 * DAY, NOW).total)
        expect(parts.at(-1)?.at).toBe(NOW)
      }),
    )
  })
})
