import { describe, expect, it } from 'vitest'
import type { SeriesPoint } from '../../../src/profile/report-types.js'
import { thinSeries } from '../../../src/report/thin-series.js'

const point = (at: number, change: Partial<SeriesPoint> = {}): SeriesPoint => ({
  at,
  seconds: 1,
  sent: 100,
  succeeded: 90,
  bad: 10,
  p50: 10 + at,
  p99: 100 + at,
  max: 1000 + at,
  ...change,
})

describe('a series that is thinned', () => {
  it('stays as it is where it is short enough', () => {
    const thin = thinSeries([point(0), point(1)], 2)
    expect(thin).toMatchObject({
      joined: false,
      seconds: 1,
      at: [0, 1],
      p50: [10, 11],
      p99: [100, 101],
      sent: [100, 100],
    })
  })

  it('adds up counts as a rate, and keeps the worst latency and the median of medians', () => {
    const series = [
      point(0),
      point(1, { max: 9000, p99: 7000, bad: 40 }),
      point(2),
      point(3),
      point(4, { seconds: 0.5 }),
    ]
    const thin = thinSeries(series, 2)
    expect(thin).toMatchObject({
      joined: true,
      seconds: 3,
      at: [0, 3],
      p50: [11, 14],
      p99: [7000, 104],
      max: [9000, 1004],
    })
    expect(thin.bad[0]).toBe(20)
    expect(thin.sent[1]).toBeCloseTo(200 / 1.5, 1)
  })

  it('has a gap where nothing was answered, and no median of it', () => {
    const silent = { p50: 0, p99: 0, max: 0, succeeded: 0 }
    expect(thinSeries([point(0), point(1, silent)], 2).p99).toEqual([100, null])
    expect(thinSeries([point(0), point(1, silent), point(2, silent)], 1).p50).toEqual([10])
  })

  it('is empty where the series is', () => {
    expect(thinSeries([], 100)).toMatchObject({ at: [], p50: [], joined: false })
  })
})
