import { loadText } from '../profile/load-plan.js'
import type { ProfileRun } from '../profile/report-types.js'
import type { Charts, PercentileLine } from './charts.js'
import { card, chip } from './frame.js'
import { type Content, type Html, html, visible } from './html.js'
import { known, percentileText } from './profile-headline.js'
import { percent, rate, time } from './quantities.js'
import { short } from './thin-series.js'

/** Percentile curves that can still be told apart. */
const LINES = 8

/** All runs in one table, and what they show together: throughput against latency, percentile curves side by side. */
export function overview(runs: readonly ProfileRun[], charts: Charts): Content {
  if (runs.length < 2) return undefined
  const withCpu = runs.some((run) => run.cpuUsPerRequest !== undefined)
  const table = html`<div class="scroll"><table class="numbers">
<thead><tr><th>run</th><th>load</th><th>answers</th><th>p50</th><th>p99</th><th>p99.9</th><th>max</th><th>bad</th>${withCpu && html`<th>CPU a request</th>`}</tr></thead>
<tbody>${runs.map((run, i) => row(run, i, withCpu))}</tbody></table></div>`
  return html`${card('runs', 'Runs', 'Each line leads to its charts.', table)}
${throughputCard(runs, charts)}
${percentileCard(runs, charts)}`
}

function row(run: ProfileRun, place: number, withCpu: boolean): Html {
  const { requests, latencyUs } = run
  const invalid = run.schedule?.kept === false
  const bad = requests.sent - requests.succeeded - requests.aborted
  return html`<tr${invalid && html` class="invalid"`}><th><a href="#run-${place + 1}">${run.label}</a>${invalid && html` ${chip('bad', 'invalid')}`}</th><td>${loadText(run.load)}</td><td>${rate(run.throughput)}</td><td>${percentileText(latencyUs.p50)}</td><td>${percentileText(latencyUs.p99)}</td><td>${percentileText(latencyUs.p999)}</td><td>${time(latencyUs.max)}</td><td>${requests.sent > 0 ? percent(bad / requests.sent) : '–'}</td>${withCpu && html`<td>${run.cpuUsPerRequest === undefined ? '–' : time(run.cpuUsPerRequest)}</td>`}</tr>`
}

function throughputCard(runs: readonly ProfileRun[], charts: Charts): Content {
  const points = runs.filter((run) => run.throughput > 0).sort((a, b) => a.throughput - b.throughput)
  // Several runs under one load, as of several processes, make a heap and no curve.
  if (new Set(points.map((run) => loadText(run.load))).size < 2) return undefined
  const value = (percentile: ProfileRun['latencyUs']['p50']): number | null => {
    const us = known(percentile)
    return us === undefined ? null : short(us)
  }
  const chart = charts.add(
    {
      kind: 'throughput',
      rate: points.map((run) => short(run.throughput)),
      p50: points.map((run) => value(run.latencyUs.p50)),
      p99: points.map((run) => value(run.latencyUs.p99)),
      valid: points.map((run) => run.schedule?.kept !== false),
      labels: points.map((run) => visible(run.label)),
    },
    'Latency against answers a second',
    `${points.length} runs from ${rate(points[0]?.throughput ?? 0)} to ${rate(points.at(-1)?.throughput ?? 0)}.`,
    [
      { name: 'p50', color: 'p50' },
      { name: 'p99', color: 'p99' },
      ...(points.some((run) => run.schedule?.kept === false)
        ? [{ name: 'invalid run', color: 'bad', shape: 'ring' } as const]
        : []),
    ],
  )
  return card('throughput', 'Throughput and latency', 'Where the line turns up, the target is full.', chart)
}

function percentileCard(runs: readonly ProfileRun[], charts: Charts): Content {
  const usable = runs.filter((run) => run.curve.length > 1)
  if (usable.length < 2) return undefined
  const shown = spreadOut(usable, LINES)
  const chart = charts.add(
    { kind: 'percentiles', lines: shown.map((run) => percentileLine(run)) },
    'Latency by percentile',
    `${shown.length} runs.`,
    shown.map((run, i) => ({ name: named(run), color: `line-${i + 1}` })),
  )
  const left = usable.length - shown.length
  const lead = `How slow the slowest are: each mark to the right holds a tenth of the requests of the one before.${left > 0 ? ` ${shown.length} of ${usable.length} runs, evenly chosen.` : ''}`
  return card('percentiles', 'Percentiles side by side', lead, chart)
}

const named = (run: ProfileRun): string => (run.schedule?.kept === false ? `${run.label} (invalid)` : run.label)

/** First, last and evenly between. */
function spreadOut<T>(all: readonly T[], most: number): T[] {
  if (all.length <= most) return [...all]
  return Array.from({ length: most }, (_, i) => all[Math.round((i * (all.length - 1)) / (most - 1))] as T)
}

/** The curve to p99.99 on an axis where every nine takes the same room; the maximum stands at its end. */
export function percentileLine(run: ProfileRun): PercentileLine {
  const LAST = 4
  const samples = Math.max(1, run.latencyUs.count)
  const end = Math.min(LAST + 0.25, Math.max(0.5, Math.log10(samples)))
  const points = run.curve
    .map(({ percentile, us }) => ({ x: percentile >= 100 ? end : -Math.log10(1 - percentile / 100), us }))
    .filter(({ x, us }, i, all) => us > 0 && x <= LAST + 0.25 && (i === all.length - 1 || x <= end))
  return {
    label: visible(named(run)),
    x: points.map(({ x }) => Number(x.toFixed(4))),
    us: points.map(({ us }) => short(us)),
    thinFrom: Number(Math.log10(samples / 10).toFixed(4)),
  }
}
