import type { StageSummaries } from '../runtime/stats.js'
import { loadText } from './load-plan.js'
import { median } from './median.js'
import type { Estimate, MachineFacts, Percentile, ProfileReport, ProfileRun, SeriesPoint } from './report-types.js'

/** One figure of a report that can be set beside the same of another report. */
export interface Figure {
  /** `p99, 64 in flight`: the same in both reports where the load was the same. */
  readonly what: string
  readonly kind: 'rate' | 'latency' | 'cpu'
  readonly unit: string
  readonly value: number
  /** Of 95 %, from within the run or over processes; undefined where the report gives none. */
  readonly interval?: Estimate
  /** How many processes the interval is over. */
  readonly processes?: number
}

/** A stage shorter than that is mostly the reading of the clock. */
export const LEAST_STAGE_US = 1

/** What is compared of a report. */
export interface ReportFigures {
  readonly figures: readonly Figure[]
  readonly machine?: MachineFacts
  /** `0.1.0` and such. */
  readonly build: string
  /** Loads whose generator did not keep its schedule; their figures are left out. */
  readonly invalid: readonly string[]
  readonly failedRequests: number
}

/** What `subten bench --json` of 0.1.0 prints: builds that old can be compared too. */
interface OldReport {
  readonly model: string
  readonly runs: readonly {
    readonly concurrency?: number
    readonly rate?: number
    readonly failed: number
    readonly throughput: number
    readonly latencyUs: { readonly p50: number; readonly p95: number; readonly p99: number }
    readonly stagesUs: StageSummaries
  }[]
}

/** Whether a value from elsewhere is what `subten bench --json` of this form of the report prints. */
export function isProfileReport(value: unknown): value is ProfileReport {
  if (typeof value !== 'object' || value === null || !('runs' in value && 'schema' in value)) return false
  return Array.isArray(value.runs) && typeof value.schema === 'string' && value.schema.startsWith('subten.profile/1')
}

/** Reads what a bench printed, of this version or of 0.1.0; undefined where it is neither. */
export function figuresOf(report: unknown): ReportFigures | undefined {
  if (typeof report !== 'object' || report === null || !('runs' in report) || !Array.isArray(report.runs)) return
  if (!('schema' in report)) return figuresOfOld(report as unknown as OldReport)
  return isProfileReport(report) ? figuresOfProfile(report) : undefined
}

export function figuresOfProfile(report: ProfileReport): ReportFigures {
  const kept = report.runs.filter((run) => run.schedule?.kept !== false)
  const invalid = report.runs.filter((run) => run.schedule?.kept === false)
  return {
    figures: merged(kept.flatMap(figuresOfRun)),
    machine: report.machine,
    build: report.machine.subten,
    invalid: [...new Set(invalid.map((run) => loadText(run.load)))],
    failedRequests: report.runs.reduce((sum, run) => sum + run.requests.failed, 0),
  }
}

/** As {@link figuresOfProfile}, with intervals over processes; a figure of which they say nothing has none. */
export function figuresOfProcesses(report: ProfileReport): ReportFigures {
  const all = figuresOfProfile(report)
  const figures = all.figures.map((figure): Figure => {
    const repeated = report.repeated?.figures.find(({ what }) => what === figure.what)
    if (!repeated) return { ...figure, interval: undefined }
    const { value, low, high, each } = repeated
    return { ...figure, value, interval: { value, low, high }, processes: each.length }
  })
  return { ...all, figures }
}

function figuresOfRun(run: ProfileRun): Figure[] {
  const load = loadText(run.load)
  const figures: Figure[] = []
  const add = (name: string, figure: Omit<Figure, 'what'>): void => {
    if (figure.value > 0) figures.push({ what: `${name}, ${load}`, ...figure })
  }
  // Of an open loop the throughput is what was asked for, unless the target broke down.
  if (run.load.kind === 'closed') {
    add('throughput', { kind: 'rate', unit: '1/s', value: run.throughput, interval: rateInterval(run.series) })
  }
  for (const [name, percent] of [
    ['p50', 50],
    ['p95', 95],
    ['p99', 99],
  ] as const) {
    add(name, { kind: 'latency', unit: 'µs', ...latencyFigure(run.latencyUs[name], run.curve, percent) })
  }
  // Taken on the engine's own thread: where the engine itself changed, this tells it through noise that hides the rest.
  const compute = run.stagesUs?.compute.p50 ?? 0
  if (compute >= LEAST_STAGE_US) add('compute stage p50', { kind: 'latency', unit: 'µs', value: compute })
  if (run.cpuUsPerRequest !== undefined) {
    add('CPU time a request', { kind: 'cpu', unit: 'µs', value: run.cpuUsPerRequest })
  }
  return figures
}

/** Where a short run bears out no interval, its curve still has the value: rounds give the interval. */
function latencyFigure(
  percentile: Percentile,
  curve: ProfileRun['curve'],
  percent: number,
): { value: number; interval?: Estimate } {
  if ('value' in percentile) return { value: percentile.value, interval: percentile }
  return { value: curve.find((point) => point.percentile >= percent)?.us ?? 0 }
}

/**
 * Interval of a throughput from the seconds of its run: means of 10 stretches (batch means, which take in that
 * neighbouring seconds are alike) and Student's t with 9 degrees of freedom.
 */
function rateInterval(series: readonly SeriesPoint[]): Estimate | undefined {
  const BATCHES = 10
  const T_95 = 2.262
  if (series.length < 2 * BATCHES) return
  const rates = Array.from({ length: BATCHES }, (_, batch) => {
    const part = series.slice((batch * series.length) / BATCHES, ((batch + 1) * series.length) / BATCHES)
    const seconds = part.reduce((sum, point) => sum + point.seconds, 0)
    return part.reduce((sum, point) => sum + point.succeeded, 0) / seconds
  })
  const mean = rates.reduce((sum, rate) => sum + rate, 0) / BATCHES
  const variance = rates.reduce((sum, rate) => sum + (rate - mean) ** 2, 0) / (BATCHES - 1)
  const half = T_95 * Math.sqrt(variance / BATCHES)
  if (!(half < mean)) return
  return { value: mean, low: mean - half, high: mean + half }
}

function figuresOfOld(report: OldReport): ReportFigures {
  const figures = report.runs.flatMap((run): Figure[] => {
    const load =
      run.rate === undefined ? `${run.concurrency} in flight` : loadText({ kind: 'poisson', rate: run.rate, seed: 0 })
    const latencies = (['p50', 'p95', 'p99'] as const).map(
      (name): Figure => ({ what: `${name}, ${load}`, kind: 'latency', unit: 'µs', value: run.latencyUs[name] }),
    )
    const compute = run.stagesUs.compute.p50
    if (compute >= LEAST_STAGE_US) {
      latencies.push({ what: `compute stage p50, ${load}`, kind: 'latency', unit: 'µs', value: compute })
    }
    if (run.rate !== undefined) return latencies
    return [{ what: `throughput, ${load}`, kind: 'rate', unit: '1/s', value: run.throughput }, ...latencies]
  })
  return {
    figures: merged(figures.filter((figure) => figure.value > 0)),
    build: '0.1.0',
    invalid: [],
    failedRequests: report.runs.reduce((sum, run) => sum + run.failed, 0),
  }
}

/** Several runs under one load are one figure: their median, and the interval of the middle one. */
function merged(figures: readonly Figure[]): Figure[] {
  const names = [...new Set(figures.map((figure) => figure.what))]
  return names.map((name) => {
    const same = figures.filter((figure) => figure.what === name)
    if (same.length === 1) return same[0] as Figure
    const value = median(same.map((figure) => figure.value))
    const [nearest] = [...same].sort((a, b) => Math.abs(a.value - value) - Math.abs(b.value - value))
    return { ...(nearest as Figure), value }
  })
}
