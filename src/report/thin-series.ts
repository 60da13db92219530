import type { SeriesPoint } from '../profile/report-types.js'

/** A series in columns, as charts take them, with no more points than can be seen. */
export interface ThinSeries {
  /** Seconds that a point stands for; more than those of the report where neighbours were joined. */
  readonly seconds: number
  readonly joined: boolean
  readonly at: readonly number[]
  readonly p50: readonly (number | null)[]
  readonly p99: readonly (number | null)[]
  readonly max: readonly (number | null)[]
  /** A second. */
  readonly sent: readonly number[]
  readonly succeeded: readonly number[]
  readonly bad: readonly number[]
}

/**
 * Joins neighbours until at most `most` points are left. Counts add up; of percentiles and maxima the worst is kept, so
 * that no stall gets lost, and of medians the one in the middle.
 */
export function thinSeries(series: readonly SeriesPoint[], most: number): ThinSeries {
  const step = Math.max(1, Math.ceil(series.length / most))
  const groups: SeriesPoint[][] = []
  for (let i = 0; i < series.length; i += step) groups.push(series.slice(i, i + step))
  const perSecond = (pick: (point: SeriesPoint) => number): number[] =>
    groups.map((group) => short(sum(group, pick) / (sum(group, (point) => point.seconds) || 1)))
  const worst = (pick: (point: SeriesPoint) => number): (number | null)[] =>
    groups.map((group) => answered(group.reduce((most, point) => Math.max(most, pick(point)), 0)))
  return {
    seconds: groups[0] ? sum(groups[0], (point) => point.seconds) : 1,
    joined: step > 1,
    at: groups.map((group) => short((group[0] as SeriesPoint).at)),
    p50: groups.map((group) => answered(middle(group.map((point) => point.p50).filter((us) => us > 0)))),
    p99: worst((point) => point.p99),
    max: worst((point) => point.max),
    sent: perSecond((point) => point.sent),
    succeeded: perSecond((point) => point.succeeded),
    bad: perSecond((point) => point.bad),
  }
}

/** Where nothing was answered the line has a gap. */
const answered = (us: number): number | null => (us > 0 ? short(us) : null)

/** Five digits are more than a chart shows, and half the file. What JSON made null of (NaN) stays a gap. */
export const short = (value: number): number => (Number.isFinite(value) ? Number(value.toPrecision(5)) : Number.NaN)

function sum(group: readonly SeriesPoint[], pick: (point: SeriesPoint) => number): number {
  return group.reduce((total, point) => total + pick(point), 0)
}

function middle(values: number[]): number {
  return values.sort((a, b) => a - b)[values.length >> 1] ?? 0
}
