import type { ProfileRun, SeriesPoint, TargetFacts } from '../profile/report-types.js'
import type { Indicator, Point } from './types.js'

/**
 * Good and all events of a load-test run. A run keeps percentiles and no single latencies, so that the good ones lie
 * between two numbers, which are equal where they are known.
 */
export interface RunCounts {
  readonly goodLow: number
  readonly goodHigh: number
  readonly total: number
  /**
   * How many requests were worth one independent one: a stall makes neighbours slow together, and a run with one stall
   * says less than its number of requests. 1 or more.
   */
  readonly effect: number
  readonly unit: string
}

/** Whether what the load generator saw is what happened at a point of the promise. */
export type Sight =
  | 'exact'
  /** The generator saw more than passed at the point: a kept promise is kept there too, a broken one says nothing. */
  | 'from-outside'
  | 'none'

/** What a target lets the generator see of a point. */
export function sightOf(target: TargetFacts, point: Point): Sight {
  if (point === 'client') return 'exact'
  // In process there is no front end, and what the generator sees is submit → resolved.
  if (target.kind === 'in-process') return point === 'engine' ? 'exact' : 'none'
  return 'from-outside'
}

/** Counts what an indicator asks for; a sentence where the run does not have it. */
export function countRun(run: ProfileRun, indicator: Indicator): RunCounts | string {
  switch (indicator.kind) {
    case 'latency':
      return countRequests(run, indicator.thresholdUs)
    case 'availability':
      return countRequests(run)
    case 'goodput':
      return countSeconds(run, indicator.thresholdUs, indicator.perSecond)
    case 'accuracy':
      return 'a load test has no labels; the application reports accuracy'
    case 'freshness':
      return 'a load test has no stream; freshness is measured on live events'
  }
}

/** Refused, expired and failed requests are bad; those that the generator gave up are not counted. */
function countRequests(run: ProfileRun, thresholdUs?: number): RunCounts {
  const { sent, aborted, succeeded } = run.requests
  const total = sent - aborted
  const slow = (point: SeriesPoint): number =>
    point.bad + (thresholdUs === undefined ? 0 : (1 - midShare(point, thresholdUs)) * point.succeeded)
  const effect = designEffect(run.series.map((point) => ({ all: point.sent, slow: slow(point) })))
  if (thresholdUs === undefined) return { goodLow: succeeded, goodHigh: succeeded, total, effect, unit: 'requests' }
  if (run.goodWithinUs === thresholdUs && run.goodput !== undefined) {
    const good = Math.min(succeeded, Math.round(run.goodput * run.seconds))
    return { goodLow: good, goodHigh: good, total, effect, unit: 'requests' }
  }
  const [low, high] = withinCurve(run, thresholdUs)
  return { goodLow: Math.min(low, succeeded), goodHigh: Math.min(high, succeeded), total, effect, unit: 'requests' }
}

/**
 * How many answers came within a limit, by the curve: its point at percentile p is the latency of the answer number
 * ⌈p n⌉, so that all up to it are within when it is, and all from it on are late when it is late.
 */
function withinCurve({ curve, requests }: ProfileRun, thresholdUs: number): [low: number, high: number] {
  const n = requests.succeeded
  if (curve.length === 0) return [0, n]
  let low = 0
  let high = n
  for (const { percentile, us } of curve) {
    const rank = Math.max(1, Math.ceil(Number(((percentile / 100) * n).toFixed(6))))
    if (us <= thresholdUs) low = Math.max(low, rank)
    else high = Math.min(high, rank - 1)
  }
  return [Math.min(low, n), Math.max(low, high)]
}

/** At least and at most so large a part of a second's answers was within the limit. */
function shareBounds(point: SeriesPoint, thresholdUs: number): [low: number, high: number] {
  if (point.max <= thresholdUs) return [1, 1]
  if (point.p99 <= thresholdUs) return [0.99, 1]
  return point.p50 <= thresholdUs ? [0.5, 0.99] : [0, 0.5]
}

function midShare(point: SeriesPoint, thresholdUs: number): number {
  const [low, high] = shareBounds(point, thresholdUs)
  return (low + high) / 2
}

/** Slices of about a second; a run is cut into equal parts, which need not be whole seconds. */
function countSeconds(run: ProfileRun, thresholdUs: number, perSecond: number): RunCounts | string {
  const width = run.series[0]?.seconds ?? 0
  if (width === 0) return 'the run has no series over time'
  if (width > 1.5)
    return `the run is kept in parts of ${width.toFixed(1)} s, too long to tell single seconds; make it shorter`
  const joined = Math.max(1, Math.round(1 / width))
  let goodLow = 0
  let goodHigh = 0
  let total = 0
  for (let i = 0; i + joined <= run.series.length; i += joined) {
    const part = run.series.slice(i, i + joined)
    const seconds = part.reduce((sum, point) => sum + point.seconds, 0)
    const sent = part.reduce((sum, point) => sum + point.sent, 0)
    const wanted = Math.min(sent, perSecond * seconds)
    const answers = (side: 0 | 1): number =>
      part.reduce((sum, point) => sum + point.succeeded * shareBounds(point, thresholdUs)[side], 0)
    total++
    if (answers(0) >= wanted) goodLow++
    if (answers(1) >= wanted) goodHigh++
  }
  return { goodLow, goodHigh, total, effect: 1, unit: 'seconds' }
}

/**
 * Variance of the bad share between parts of the run over that of independent requests (the design effect of cluster
 * samples; Kish, "Survey Sampling", 1965).
 */
function designEffect(parts: readonly { readonly all: number; readonly slow: number }[]): number {
  const used = parts.filter(({ all }) => all > 0)
  const all = used.reduce((sum, part) => sum + part.all, 0)
  const share = used.reduce((sum, part) => sum + part.slow, 0) / all
  if (used.length < 8 || !(share > 0 && share < 1)) return 1
  const squares = used.reduce((sum, part) => sum + (part.slow - share * part.all) ** 2, 0)
  const between = (used.length / (used.length - 1)) * (squares / (all * all))
  return Math.max(1, between / ((share * (1 - share)) / all))
}
