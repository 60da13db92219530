import { availableParallelism } from 'node:os'
import type { RecordableHistogram } from 'node:perf_hooks'
import type { StageSummaries, StageSummary, Stats } from '../runtime/stats.js'
import { table } from './report.js'

/** One measurement, as `--json` prints it. Times are microseconds where the name says Us. */
export interface BenchRun {
  readonly concurrency?: number
  readonly rate?: number
  readonly seconds: number
  readonly succeeded: number
  readonly failed: number
  readonly firstError?: string
  /** Answers a second. */
  readonly throughput: number
  readonly latencyUs: StageSummary
  readonly latenessUs?: StageSummary
  readonly stagesUs: StageSummaries
  readonly batches: Stats['batches']
}

export interface BenchReport {
  readonly model: string
  readonly version: string
  readonly engine: string
  readonly node: string
  readonly seed: number
  readonly runs: readonly BenchRun[]
  readonly notes: readonly string[]
}

/** A histogram of nanoseconds as microseconds. */
export function latencyUs(h: RecordableHistogram): StageSummary {
  if (h.count === 0) return { count: 0, mean: 0, p50: 0, p95: 0, p99: 0, p999: 0, max: 0 }
  const at = (p: number): number => h.percentile(p) / 1000
  return {
    count: h.count,
    mean: h.mean / 1000,
    p50: at(50),
    p95: at(95),
    p99: at(99),
    p999: at(99.9),
    max: h.max / 1000,
  }
}

export function benchText(report: BenchReport): string {
  const head = `${report.model}, version ${report.version}, engine ${report.engine}; Node ${report.node}, seed ${report.seed}`
  const notes = report.notes.map((note) => `- ${note}`).join('\n')
  return [head, ...report.runs.map(runText), notes].join('\n\n')
}

function runText(run: BenchRun): string {
  const what = run.rate === undefined ? `closed loop, ${run.concurrency} in flight` : `open loop, Poisson ${run.rate}/s`
  const failed = run.failed > 0 ? `, ${run.failed} FAILED (${run.firstError})` : ''
  const reasons = Object.entries(run.batches.byReason).filter(([, n]) => n > 0)
  const why = reasons.map(([reason, n]) => `${reason} ${n}`).join(', ')
  const rows: (readonly [string, StageSummary])[] = Object.entries(run.stagesUs)
  rows.push([run.rate === undefined ? 'caller: send to result' : 'caller: intended to result', run.latencyUs])
  if (run.latenessUs) rows.push(['sent late by', run.latenessUs])
  return [
    `${what}: ${run.throughput.toFixed(0)} answers/s (${run.succeeded} in ${run.seconds.toFixed(2)} s${failed})`,
    `batches ${run.batches.count}, mean size ${run.batches.meanSize.toFixed(2)}${why && ` (${why})`}`,
    table(
      ['µs', 'p50', 'p95', 'p99', 'p999', 'max'],
      rows.map(([name, s]) => [name, ...[s.p50, s.p95, s.p99, s.p999, s.max].map(figure)]),
    ),
  ].join('\n')
}

function figure(us: number): string {
  return us < 100 ? us.toFixed(1) : us.toFixed(0)
}

/** What a reader must know not to read more into the figures than they say. */
export function benchNotes(runs: readonly BenchRun[]): string[] {
  const notes = [
    `The load comes from the thread that gets the answers, on a machine with ${availableParallelism()} CPUs: the caller's own work is part of the figures.`,
  ]
  if (runs.some((run) => run.rate === undefined)) {
    notes.push(
      'In a closed loop a slow answer delays the next request, which hides stalls; use --rate for latency under load.',
    )
  }
  const few = runs.filter((run) => run.succeeded < 100_000)
  if (few.length > 0) {
    const least = Math.min(...few.map((run) => run.succeeded))
    notes.push(
      `With ${least} samples the p999 rests on about ${Math.floor(least / 1000)} of them; it takes 100000 to trust it.`,
    )
  }
  for (const run of runs) {
    if (run.rate !== undefined && run.throughput < run.rate * 0.95) {
      notes.push(`The model did not keep up with ${run.rate}/s: the queue grew, and latency says how long it got.`)
    }
    if (run.latenessUs && run.latenessUs.p99 > 1000) {
      notes.push(
        'Requests left more than 1 ms late (p99): this thread was too busy for the rate, and that time is counted.',
      )
    }
  }
  return notes
}
