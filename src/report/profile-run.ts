import { loadText } from '../profile/load-plan.js'
import type { Percentile, ProfileRun } from '../profile/report-types.js'
import { bar, whisker } from './bars.js'
import type { Charts } from './charts.js'
import { chip, facts } from './frame.js'
import { type Content, type Html, html } from './html.js'
import { interval, percentileText } from './profile-headline.js'
import { percentileLine } from './profile-overview.js'
import { count, counted, figure, moment, percent, rate, time } from './quantities.js'
import { stageBreakdown } from './stages.js'
import { thinSeries } from './thin-series.js'

export interface RunPlace {
  readonly charts: Charts
  /** Points of a chart over time. */
  readonly points: number
  readonly open: boolean
  /** The only run: its figures are at the top already. */
  readonly alone: boolean
}

/** Everything about one run, to fold and unfold. */
export function runSection(run: ProfileRun, place: number, { charts, points, open, alone }: RunPlace): Html {
  const invalid = run.schedule?.kept === false
  return html`<details class="card run${invalid && ' invalid'}" id="run-${place + 1}"${open && html` open`}>
<summary><h2>${alone ? 'The run' : run.label}</h2>${invalid && html` ${chip('bad', 'invalid: schedule not kept')}`}<span class="soft">${loadText(run.load)}, ${rate(run.throughput)}, p99 ${percentileText(run.latencyUs.p99)}</span></summary>
${overTime(run, place, charts, points)}
<div class="pair">
<div>${percentileChart(run, charts)}</div>
<div><h3>Percentiles</h3>${percentiles(run)}</div>
</div>
${run.stagesUs && html`<h3>Where the time of a request went</h3>${stageBreakdown(run.stagesUs)}`}
<div class="pair">
<div><h3>How requests ended</h3>${outcome(run)}</div>
<div>${run.batches ? html`<h3>Batches</h3>${batches(run.batches)}` : undefined}<h3>The measurement</h3>${measurement(run)}</div>
</div>
</details>`
}

function overTime(run: ProfileRun, place: number, charts: Charts, points: number): Content {
  if (run.series.length === 0) return html`<p class="soft">There is no series over time.</p>`
  const thin = thinSeries(run.series, points)
  const group = `run-${place + 1}`
  const joined = thin.joined
    ? html`<p class="soft">A point stands for ${figure(thin.seconds)} s: of p99 and maximum the worst, of p50 the one in the middle.</p>`
    : undefined
  const one = thin.at.length === 1
  return html`${charts.add(
    { kind: 'latency', group, at: thin.at, p50: thin.p50, p99: thin.p99, max: thin.max },
    'Latency over time',
    `${counted(thin.at.length, 'point')}${one ? '' : ` of ${figure(thin.seconds)} s`}.`,
    [
      { name: 'p50', color: 'p50' },
      { name: 'p99', color: 'p99' },
      { name: 'max', color: 'max' },
    ],
  )}${charts.add(
    { kind: 'rate', group, at: thin.at, sent: thin.sent, succeeded: thin.succeeded, bad: thin.bad },
    'Requests a second',
    `${rate(run.throughput)} answered.`,
    [
      { name: 'sent', color: 'sent', shape: 'dash' },
      { name: 'answered', color: 'answered' },
      { name: 'bad', color: 'bad', shape: 'box' },
    ],
  )}${joined}`
}

function percentileChart(run: ProfileRun, charts: Charts): Content {
  if (run.curve.length < 2) return html`<p class="soft">There is no percentile curve.</p>`
  const line = percentileLine(run)
  return charts.add(
    { kind: 'percentiles', lines: [line] },
    'Latency by percentile',
    `p50 ${percentileText(run.latencyUs.p50)}, p99 ${percentileText(run.latencyUs.p99)}, maximum ${time(run.latencyUs.max)}.`,
    [
      { name: 'latency', color: 'line-1' },
      { name: 'fewer than 10 slower', color: 'thin', shape: 'box' },
    ],
  )
}

function percentiles(run: ProfileRun): Html {
  const { latencyUs, serviceUs } = run
  const names = [
    ['p50', 'p50'],
    ['p90', 'p90'],
    ['p95', 'p95'],
    ['p99', 'p99'],
    ['p999', 'p99.9'],
  ] as const
  const ends = names.flatMap(([key]) => {
    const each = latencyUs[key]
    return 'value' in each ? [each.low, each.high] : []
  })
  const at = logScale(Math.min(...ends), Math.max(...ends))
  // In a closed loop both are the same: there is no intended time.
  const service = run.load.kind !== 'closed'
  const row = (name: string, each: Percentile, served: Percentile): Html =>
    html`<tr><th>${name}</th><td>${percentileText(each)}</td>${
      'value' in each
        ? html`<td class="wide">${whisker(each, at, 'accent', [], `${name}: ${interval(each)} with 95 % confidence`)}</td><td class="soft">${interval(each)}</td>`
        : html`<td class="text soft" colspan="2">${interval(each)}</td>`
    }${service && html`<td>${percentileText(served)}</td>`}</tr>`
  return html`<div class="scroll"><table class="numbers percentiles">
<thead><tr><th></th><th>latency</th><th class="wide">95 % interval</th><th></th>${service && html`<th>from send</th>`}</tr></thead>
<tbody>${names.map(([key, name]) => row(name, latencyUs[key], serviceUs[key]))}</tbody>
<tfoot><tr><th>max</th><td>${time(latencyUs.max)}</td><td></td><td></td>${service && html`<td>${time(serviceUs.max)}</td>`}</tr>
<tr><th>mean</th><td>${time(latencyUs.mean)}</td><td></td><td></td>${service && html`<td>${time(serviceUs.mean)}</td>`}</tr></tfoot></table></div>
<p class="soft">${counted(latencyUs.count, 'request')}${service && '. Latency counts from the intended time, “from send” from the time it really left'}.</p>`
}

/** Places of values on a logarithmic scale from `least` to `most`. */
export function logScale(least: number, most: number): (value: number) => number {
  const from = Math.log(Math.max(least, 1e-9))
  const width = Math.log(Math.max(most, 1e-9)) - from
  return (value) => (width > 0 ? 0.03 + (0.94 * (Math.log(Math.max(value, 1e-9)) - from)) / width : 0.5)
}

function outcome(run: ProfileRun): Html {
  const { requests } = run
  const parts = [
    ['succeeded', requests.succeeded, 'good'],
    ['failed', requests.failed, 'bad'],
    ['refused', requests.refused, 'queue'],
    ['expired', requests.expired, 'wake'],
    ['aborted', requests.aborted, 'inbox'],
  ] as const
  const share = (n: number): string => (requests.sent > 0 ? percent(n / requests.sent) : '–')
  const errors = Object.entries(run.errors).sort((a, b) => b[1] - a[1])
  return html`${bar(parts.map(([name, value, color]) => ({ name, value, color, says: `${name} ${count(value)}` })))}
<div class="scroll"><table class="numbers"><tbody>${parts.map(([name, value, color]) =>
    value > 0 || name === 'succeeded'
      ? html`<tr><th><i class="key-box c-${color}"></i>${name}</th><td>${count(value)}</td><td>${share(value)}</td></tr>`
      : undefined,
  )}</tbody><tfoot><tr><th>sent</th><td>${count(requests.sent)}</td><td></td></tr></tfoot></table></div>
${
  errors.length > 0 &&
  html`<h4>Errors</h4><div class="scroll"><table class="numbers"><tbody>${errors.slice(0, 20).map(([code, n]) => html`<tr><th><code>${code}</code></th><td>${count(n)}</td></tr>`)}</tbody></table></div>${errors.length > 20 && html`<p class="soft">and ${errors.length - 20} more codes</p>`}`
}
${run.firstError !== undefined && html`<p class="error">First error: ${run.firstError}</p>`}`
}

const REASONS: readonly (readonly [string, string, string])[] = [
  ['full', 'compute', 'the batch was full'],
  ['preferred', 'prepare', 'it had a preferred size'],
  ['delay', 'queue', 'its longest wait had passed'],
  ['deadline', 'wake', 'a deadline was near'],
  ['idle', 'inbox', 'an instance was free and nothing else was to wait for'],
]

function batches({ count: all, meanSize, byReason }: NonNullable<ProfileRun['batches']>): Html {
  const parts = REASONS.map(([name, color, means]) => ({
    name,
    color,
    means,
    value: byReason[name as keyof typeof byReason] ?? 0,
  }))
  return html`<p>${counted(all, 'batch', 'batches')} of ${figure(meanSize)} ${meanSize === 1 ? 'row' : 'rows'} on average. Why each was dispatched:</p>
${bar(parts.map(({ name, color, value }) => ({ name, color, value, says: `${name} ${count(value)}` })))}
<div class="scroll"><table class="numbers"><tbody>${parts.map(({ name, color, value, means }) =>
    value > 0
      ? html`<tr><th><i class="key-box c-${color}"></i>${name} <span class="means">${means}</span></th><td>${count(value)}</td><td>${percent(value / Math.max(1, all))}</td></tr>`
      : undefined,
  )}</tbody></table></div>`
}

function measurement(run: ProfileRun): Html {
  const { schedule, warmup, load } = run
  return facts([
    ['began', moment(run.startedAt)],
    ['length', `${figure(run.seconds)} s`],
    ['load', `${loadText(load)}${'seed' in load ? `, seed ${load.seed}` : ''}`],
    [
      'warm-up',
      `${figure(warmup.seconds)} s, ${counted(warmup.requests, 'request')}: ${warmup.how}${warmup.steady ? '' : ' (NOT STEADY: the figures may still be falling)'}`,
    ],
    ...(schedule
      ? ([
          [
            'schedule',
            html`${schedule.kept ? chip('good', 'kept') : chip('bad', 'not kept')} ${percent(schedule.late)} left more than ${time(schedule.boundUs)} late, ${percent(schedule.allowed)} allowed`,
          ],
          [
            'sent late by',
            `p50 ${percentileText(schedule.latenessUs.p50)}, p99 ${percentileText(schedule.latenessUs.p99)}, max ${time(schedule.latenessUs.max)}`,
          ],
        ] as const)
      : []),
    ...(run.cpuUsPerRequest === undefined ? [] : ([['CPU a request', time(run.cpuUsPerRequest)]] as const)),
  ])
}
