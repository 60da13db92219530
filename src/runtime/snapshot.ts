import type { NativeStats } from './binding.js'
import { REASONS } from './record.js'
import { sloDifference, sloStats } from './slo-figures.js'
import { type SloStats, STAGES, type Stage, type StageSummary, type Stats } from './stats.js'
import type { BatchReason } from './types.js'

/** Counts of one distribution: values and how often, ascending; nanoseconds. */
export interface Distribution {
  readonly values: readonly number[]
  readonly counts: readonly number[]
  readonly sum: number
  readonly max: number
}

const EMPTY: Distribution = { values: [], counts: [], sum: 0, max: 0 }

const NO_PAIRS = new Float64Array(0)

/** What only some models have. */
interface Scheduling {
  readonly slo: SloStats | undefined
  readonly servedByVariant: number | undefined
}

/** Figures of a model as they were at one moment, exact enough to subtract another moment's. */
export class Snapshot implements Stats {
  readonly requests: Stats['requests']
  readonly batches: Stats['batches']
  readonly running: Stats['running']
  readonly stages: Stats['stages']
  readonly eventLoop: StageSummary
  readonly memory: Stats['memory']
  declare readonly slo?: SloStats
  readonly at: number
  readonly #counts: readonly number[]
  readonly #batchCounts: readonly number[]
  readonly #distributions: readonly Distribution[]
  readonly #lateness: Distribution
  /** Of the engine, by name. */
  readonly #extra: ReadonlyMap<string, Distribution>
  /** Batches by their number of rows. */
  readonly #sizes: ReadonlyMap<number, number>

  constructor(
    counts: readonly number[],
    batchCounts: readonly number[],
    distributions: readonly Distribution[],
    lateness: Distribution,
    memory: readonly number[],
    running: Stats['running'],
    at: number,
    extra: ReadonlyMap<string, Distribution>,
    sizes: ReadonlyMap<number, number>,
    scheduling: Scheduling,
  ) {
    this.#counts = counts
    this.#batchCounts = batchCounts
    this.#distributions = distributions
    this.#lateness = lateness
    this.#extra = extra
    this.#sizes = sizes
    const [submitted = 0, succeeded = 0, failed = 0, cancelled = 0, expired = 0, refused = 0] = counts
    const inFlight = Math.max(0, submitted - succeeded - failed - cancelled - expired)
    this.requests = {
      ...{ submitted, succeeded, failed, cancelled, expired, refused, inFlight },
      ...(scheduling.servedByVariant !== undefined && { servedByVariant: scheduling.servedByVariant }),
    }
    if (scheduling.slo !== undefined) this.slo = scheduling.slo
    const [count = 0, rows = 0, inPlace = 0, ...reasons] = batchCounts
    const byReason = Object.fromEntries(REASONS.map((reason, i) => [reason, reasons[i] ?? 0]))
    this.batches = {
      count,
      meanSize: count === 0 ? 0 : rows / count,
      byReason: byReason as Record<BatchReason, number>,
      inPlace,
      sizes: Object.fromEntries(sizes),
    }
    const stages = STAGES.map((stage, i) => [stage, summarise(distributions[i] ?? EMPTY)])
    const engine = [...extra].map(([stage, distribution]) => [stage, summarise(distribution)])
    this.stages = Object.fromEntries([...stages, ...engine]) as Record<Stage, StageSummary>
    this.eventLoop = summarise(lateness)
    this.memory = { bytes: memory[0] ?? 0, used: memory[1] ?? 0 }
    this.running = running
    this.at = at
  }

  /** `servedByVariant`: of a model that has a cheaper variant. */
  static of(
    native: NativeStats,
    lateness: Distribution,
    sloFigures?: Float64Array,
    servedByVariant?: number,
  ): Snapshot {
    return new Snapshot(
      native.counts,
      native.batches,
      native.stages.map(fromPairs),
      lateness,
      native.memory,
      { batches: native.running[0] ?? 0, oldestMs: (native.running[1] ?? 0) / 1e6 },
      Date.now(),
      new Map(native.extra?.names.map((name, i) => [name, fromPairs(native.extra?.stages[i] ?? NO_PAIRS)])),
      counted(native.sizes ?? NO_PAIRS),
      { slo: sloStats(sloFigures), servedByVariant },
    )
  }

  diff(previous: Stats): Stats {
    if (!(previous instanceof Snapshot)) throw new TypeError('diff() takes what stats() returned')
    const minus = (a: readonly number[], b: readonly number[]): number[] =>
      a.map((value, i) => Math.max(0, value - (b[i] ?? 0)))
    return new Snapshot(
      minus(this.#counts, previous.#counts),
      minus(this.#batchCounts, previous.#batchCounts),
      this.#distributions.map((each, i) => subtract(each, previous.#distributions[i] ?? EMPTY)),
      subtract(this.#lateness, previous.#lateness),
      [this.memory.bytes, this.memory.used],
      this.running,
      this.at,
      new Map([...this.#extra].map(([name, each]) => [name, subtract(each, previous.#extra.get(name) ?? EMPTY)])),
      new Map(
        [...this.#sizes]
          .map(([rows, count]) => [rows, count - (previous.#sizes.get(rows) ?? 0)] as const)
          .filter(([, count]) => count > 0),
      ),
      {
        slo: sloDifference(this.slo, previous.slo),
        servedByVariant:
          this.requests.servedByVariant === undefined
            ? undefined
            : Math.max(0, this.requests.servedByVariant - (previous.requests.servedByVariant ?? 0)),
      },
    )
  }
}

function counted(pairs: Float64Array): Map<number, number> {
  const counts = new Map<number, number>()
  for (let i = 0; i + 1 < pairs.length; i += 2) counts.set(pairs[i] as number, pairs[i + 1] as number)
  return counts
}

function fromPairs(pairs: Float64Array): Distribution {
  const values: number[] = []
  const counts: number[] = []
  for (let i = 2; i + 1 < pairs.length; i += 2) {
    values.push(pairs[i] as number)
    counts.push(pairs[i + 1] as number)
  }
  return { values, counts, sum: pairs[0] ?? 0, max: pairs[1] ?? 0 }
}

function subtract(now: Distribution, before: Distribution): Distribution {
  const earlier = new Map(before.values.map((value, i) => [value, before.counts[i] as number]))
  const values: number[] = []
  const counts: number[] = []
  now.values.forEach((value, i) => {
    const count = (now.counts[i] as number) - (earlier.get(value) ?? 0)
    if (count <= 0) return
    values.push(value)
    counts.push(count)
  })
  // The largest value of the time between is known to the width of its bucket, unless it is the largest of all.
  const last = values.at(-1) ?? 0
  const max = last === now.values.at(-1) && now.max > before.max ? now.max : last
  return { values, counts, sum: Math.max(0, now.sum - before.sum), max }
}

/** Percentiles, microseconds: the smallest value with at least that share of the counts at or below it. */
export function summarise({ values, counts, sum, max }: Distribution): StageSummary {
  const count = counts.reduce((a, b) => a + b, 0)
  const at = (share: number): number => {
    let left = Math.max(1, Math.ceil(share * count))
    for (let i = 0; i < values.length; i++) {
      left -= counts[i] as number
      if (left <= 0) return Math.min(values[i] as number, max) / 1000
    }
    return 0
  }
  return {
    count,
    mean: count === 0 ? 0 : sum / count / 1000,
    p50: at(0.5),
    p95: at(0.95),
    p99: at(0.99),
    p999: at(0.999),
    max: max / 1000,
  }
}
