import type { LatencySummary, Percentile, ProfileReport, ProfileRun, Repeated } from '../profile/report-types.js'
import type { StageSummary } from '../runtime/stats.js'
import { table } from './report.js'

/** A report for people. */
export function benchText(report: ProfileReport): string {
  const { target, machine, seed, notes } = report
  const version = target.version === undefined ? '' : `, version ${target.version}`
  const engine = target.engine === undefined ? '' : `, engine ${target.engine}`
  const where = target.url === undefined ? '' : ` at ${target.url} (${target.kind})`
  const head = `${target.model}${version}${engine}${where}; Node ${machine.node}, ${machine.cpus} CPUs, seed ${seed}`
  const parts = [
    head,
    ...(report.repeated ? [repeatedText(report.repeated)] : report.runs.map(runText)),
    searchText(report),
    mlperfText(report),
    comparisonText(report),
    verdictText(report),
    notes.map((note) => `- ${note}`).join('\n'),
  ]
  return parts.filter((part) => part !== '').join('\n\n')
}

function runText(run: ProfileRun): string {
  const { requests, errors, warmup } = run
  const what = run.load.kind === 'closed' ? 'closed loop' : 'open loop'
  const bad = requests.sent - requests.succeeded
  const kinds = Object.entries(errors).map(([code, n]) => `${code} ${n}`)
  if (requests.aborted > 0) kinds.push(`given up ${requests.aborted}`)
  const failed = bad > 0 ? `, ${bad} FAILED (${kinds.join(', ')}${run.firstError ? `: ${run.firstError}` : ''})` : ''
  const lines = [
    `${what}, ${run.label}: ${run.throughput.toFixed(0)} answers/s (${requests.succeeded} of ${requests.sent} in ${run.seconds.toFixed(2)} s${failed})`,
    `warm-up ${warmup.seconds.toFixed(1)} s, ${warmup.requests} requests: ${warmup.how}`,
  ]
  if (run.goodput !== undefined && run.goodWithinUs !== undefined) {
    lines.push(`goodput ${run.goodput.toFixed(0)} answers/s within ${run.goodWithinUs / 1000} ms`)
  }
  if (run.schedule) {
    const { kept, late, boundUs, reason } = run.schedule
    const share = `${(late * 100).toFixed(2)} % of the requests left more than ${boundUs / 1000} ms late`
    lines.push(kept ? `schedule kept: ${share}` : `INVALID, the schedule was not kept: ${reason}`)
  }
  lines.push(latencyTable(run))
  if (run.batches) {
    const reasons = Object.entries(run.batches.byReason).filter(([, n]) => n > 0)
    const why = reasons.map(([reason, n]) => `${reason} ${n}`).join(', ')
    lines.push(`batches ${run.batches.count}, mean size ${run.batches.meanSize.toFixed(2)}${why && ` (${why})`}`)
  }
  if (run.cpuUsPerRequest !== undefined) lines.push(`processor time ${figure(run.cpuUsPerRequest)} µs a request`)
  if (run.stagesUs) lines.push(stageTable(run))
  return lines.join('\n')
}

function latencyTable(run: ProfileRun): string {
  const rows: [string, LatencySummary][] = [
    [run.load.kind === 'closed' ? 'send to answer' : 'intended send to answer', run.latencyUs],
  ]
  if (run.load.kind !== 'closed') {
    rows.push(['send to answer', run.serviceUs])
    if (run.schedule) rows.push(['sent late by', run.schedule.latenessUs])
  }
  return table(
    ['µs, 95 % interval', 'p50', 'p99', 'p999', 'max'],
    rows.map(([name, s]) => [name, estimate(s.p50), estimate(s.p99), estimate(s.p999), figure(s.max)]),
  )
}

function estimate(value: Percentile): string {
  if ('needs' in value) return `needs ${value.needs} more`
  return `${figure(value.value)} [${figure(value.low)}, ${figure(value.high)}]`
}

function stageTable({ stagesUs }: ProfileRun): string {
  const rows: (readonly [string, StageSummary])[] = Object.entries(stagesUs ?? {})
  return table(
    ['stage, µs', 'mean', 'p50', 'p99', 'p999', 'max'],
    rows.map(([name, s]) => [name, ...[s.mean, s.p50, s.p99, s.p999, s.max].map(figure)]),
  )
}

/** The runs of the processes are in the JSON and HTML reports. */
function repeatedText({ processes, invalid, valid, figures }: Repeated): string {
  const left = invalid === 0 ? '' : `, ${invalid} of them with a run that was left out: its schedule was not kept`
  const head = `${valid ? '' : 'INVALID: '}${processes} processes${left}`
  if (figures.length === 0) return head
  const rows = figures.map(({ what, unit, value, low, high, each }) => [
    what,
    `${figure(value)} ${unit}`,
    `[${figure(low)}, ${figure(high)}]`,
    `${figure(Math.min(...each))} to ${figure(Math.max(...each))}`,
  ])
  return [head, table(['', 'median', '95 % over processes', 'lowest to highest'], rows)].join('\n')
}

function searchText({ search }: ProfileReport): string {
  if (!search) return ''
  const goal = `${search.percentile} within ${search.limitUs / 1000} ms`
  if (search.rate === 0) return `no rate keeps ${goal}`
  const runs = search.steps.length
  return `${goal}: up to ${search.rate}/s (${search.low} to ${search.high} over the repeats, ${runs} runs)`
}

function mlperfText({ mlperf }: ProfileReport): string {
  if (!mlperf) return ''
  const { name, value, unit } = mlperf.metric
  const head = `MLPerf ${mlperf.scenario}: ${name} ${figure(value)} ${unit}; ${mlperf.valid ? 'VALID' : 'INVALID'}`
  const checks = mlperf.checks.map(({ rule, ok, detail }) => `  ${ok ? 'ok' : 'NOT OK'}  ${rule}: ${detail}`)
  return [head, ...checks].join('\n')
}

function comparisonText({ comparison }: ProfileReport): string {
  if (!comparison) return ''
  const rows = comparison.differences.map((d) => [
    d.what,
    `${figure(d.before)} ${d.unit}`,
    `${figure(d.after)} ${d.unit}`,
    `${d.ratio.value.toFixed(3)} [${d.ratio.low.toFixed(3)}, ${d.ratio.high.toFixed(3)}]`,
    d.real ? d.verdict.toUpperCase() : d.verdict,
  ])
  const head = `compared with ${comparison.before} (${comparison.how}, ${comparison.rounds} rounds, ${comparison.confidence * 100} % intervals)`
  const figures = rows.length > 0 ? [table(['', 'before', 'after', 'ratio', ''], rows)] : []
  return [head, ...figures, ...comparison.notes.map((n) => `- ${n}`)].join('\n')
}

function verdictText({ verdict }: ProfileReport): string {
  if (!verdict) return ''
  if (verdict.length === 0) return 'the contract promises nothing about this model'
  return verdict
    .map(({ objective, ok, promise, delivered, unknown }) => {
      const state = unknown === undefined ? (ok ? 'kept' : 'BROKEN') : `unknown (${unknown})`
      return `${objective}: ${state}: ${promise}; delivered ${delivered}`
    })
    .join('\n')
}

function figure(us: number): string {
  return us < 100 ? us.toFixed(1) : us.toFixed(0)
}
