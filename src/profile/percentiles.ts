import { countAtMost, type LatencyHistogram, valueAtRank } from './histogram.js'
import { inverseIncompleteBeta } from './incomplete-beta.js'
import type { LatencySummary, Percentile } from './report-types.js'

/** Samples that must lie beyond a percentile before it is given: below that the tail is anecdotes. */
const BEYOND = 10
const CONFIDENCE = 0.95
/** Blocks are joined two and two until so few are left. */
const FEWEST_BLOCKS = 8
/** The 97.5 % quantile of Student's t for 7, 15, 31 degrees of freedom, over that of the normal, squared. */
const STUDENT: ReadonlyMap<number, number> = new Map([
  [8, 1.456],
  [16, 1.183],
  [32, 1.083],
])

/**
 * Percentiles with 95 % intervals, microseconds, of what `blocks` hold: a run cut into equal times, oldest first.
 *
 * An interval comes from order statistics: the ranks between which the percentile lies by the binomial distribution
 * (Clopper and Pearson 1934). That takes samples for independent, which requests of one queue are not: a burst makes a
 * hundred neighbours slow. So the samples are counted as fewer than they are, by the design effect: how much more the
 * share of slow requests varies between blocks than independent samples would (Woodruff, "Confidence intervals for
 * medians and other position measures", JASA 47, 1952; Korn and Graubard, Survey Methodology 24, 1998). Noise lasts some
 * milliseconds or some seconds, therefore the effect is taken with 32, 16 and 8 blocks, and the widest counts. An
 * interval that would go beyond what was seen ends at the largest latency: how far the tail goes on nobody knows.
 */
export function latencySummary(blocks: readonly LatencyHistogram[], whole: LatencyHistogram): LatencySummary {
  const at = (p: number): Percentile => percentile(whole, blocks, p)
  const { count } = whole
  return {
    count,
    mean: count === 0 ? 0 : whole.mean / 1000,
    max: count === 0 ? 0 : whole.max / 1000,
    p50: at(0.5),
    p90: at(0.9),
    p95: at(0.95),
    p99: at(0.99),
    p999: at(0.999),
  }
}

function percentile(whole: LatencyHistogram, blocks: readonly LatencyHistogram[], p: number): Percentile {
  const { count } = whole
  const wanted = Math.ceil(Number((BEYOND / (1 - p)).toFixed(6)))
  if (count < wanted) return { needs: wanted - count }
  const value = valueAtRank(whole, Math.ceil(p * count))
  const [low, high] = shareInterval(p, count / designEffect(blocks, value))
  return {
    value: value / 1000,
    low: valueAtRank(whole, Math.floor(low * count)) / 1000,
    high: valueAtRank(whole, Math.ceil(high * count) + 1) / 1000,
  }
}

/** Between which shares the true one lies when `p` of `n` independent samples (not a whole number) were counted. */
export function shareInterval(p: number, n: number): readonly [low: number, high: number] {
  const half = (1 - CONFIDENCE) / 2
  const below = n * p
  const above = n - below
  return [inverseIncompleteBeta(half, below, above + 1), inverseIncompleteBeta(1 - half, below + 1, above)]
}

/** How many dependent samples are worth one independent one: 1 or more. */
function designEffect(blocks: readonly LatencyHistogram[], value: number): number {
  let counts = blocks.map((block) => ({ all: block.count, below: countAtMost(block, value) }))
  let effect = 1
  for (; counts.length >= FEWEST_BLOCKS; counts = pairs(counts)) {
    effect = Math.max(effect, clusterEffect(counts) * (STUDENT.get(counts.length) ?? 1.5))
  }
  return effect
}

interface BlockCount {
  readonly all: number
  readonly below: number
}

/** Variance of the share over blocks (as a ratio estimate) over that of independent samples. */
function clusterEffect(counts: readonly BlockCount[]): number {
  const all = counts.reduce((n, block) => n + block.all, 0)
  const share = counts.reduce((n, block) => n + block.below, 0) / all
  if (share <= 0 || share >= 1) return 1
  const squares = counts.reduce((sum, block) => sum + (block.below - share * block.all) ** 2, 0)
  const between = (counts.length / (counts.length - 1)) * (squares / (all * all))
  return between / ((share * (1 - share)) / all)
}

function pairs(counts: readonly BlockCount[]): BlockCount[] {
  const joined: BlockCount[] = []
  for (let i = 0; i + 1 < counts.length; i += 2) {
    const [a, b] = [counts[i] as BlockCount, counts[i + 1] as BlockCount]
    joined.push({ all: a.all + b.all, below: a.below + b.below })
  }
  return joined
}

/** Percent and microseconds from 0 to the maximum, closer towards the tail: 0 … 90 … 99 … 99.9 … 99.99, 100. */
export function curveOf(whole: LatencyHistogram): { percentile: number; us: number }[] {
  if (whole.count === 0) return []
  const curve = [{ percentile: 0, us: whole.min / 1000 }]
  let from = 0
  for (let width = 100; width > 0.01; width /= 10) {
    for (let step = 1; step < 10; step++) curve.push(point(from + (width / 10) * step))
    from = 100 - width / 10
  }
  curve.push({ percentile: 100, us: whole.max / 1000 })
  return curve

  function point(percent: number): { percentile: number; us: number } {
    const rounded = Number(percent.toFixed(6))
    return { percentile: rounded, us: valueAtRank(whole, Math.ceil((rounded / 100) * whole.count)) / 1000 }
  }
}
