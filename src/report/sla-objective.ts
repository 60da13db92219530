import type { AlertState, Objective, SlaReport } from '../sla/types.js'
import { whisker } from './bars.js'
import type { Charts } from './charts.js'
import { chip, facts, tile } from './frame.js'
import { type Content, type Html, html } from './html.js'
import { count, figure, moment, percent, stretch } from './quantities.js'
import { STATES } from './sla-states.js'

type ReportedObjective = SlaReport['objectives'][number]

/** Points of a chart; a history that is longer is joined, counts adding up. */
const POINTS = 1000

/** All of one promise: how it stands, how fast the budget goes, what it was over time. */
export function objectiveSection(status: ReportedObjective, place: number, charts: Charts, report: SlaReport): Html {
  const { objective, events } = status
  const { tone, text } = STATES[status.state]
  const bad = events.total - events.good
  return html`<section class="card long" id="objective-${place + 1}">
<div class="card-head"><h2>${objective.name}</h2>${chip(tone, text)}</div>
<p class="lead">${objective.description}</p>
${status.notMeasured !== undefined && html`<p class="error">Not measured: ${status.notMeasured}</p>`}
<dl class="tiles inner">
${tile('promised', html`<span class="sentence">${status.promise}</span>`)}
${tile('delivered', html`<span class="sentence">${status.delivered}</span>`)}
${tile('good events', status.compliance === undefined ? '–' : percent(status.compliance), status.compliance === undefined ? `fewer than ${count(objective.minimumEvents)}: nothing is said` : `${count(events.good)} of ${count(events.total)}`)}
${tile('budget left', budgetText(status.budgetLeft), events.total > 0 && `${count(bad)} bad, ${count(events.total * (1 - objective.target))} allowed of so many`)}
</dl>
${history(status, place, charts)}
<div class="pair">
<div><h3>How fast the budget goes</h3>${burnTable(status)}</div>
<div><h3>Alerts</h3>${alertTable(status.alerts)}</div>
</div>
<h3>The promise</h3>
${facts([
  ['service', objective.service],
  ['owner', objective.owner || '–'],
  ['when broken', objective.consequences || 'the contract says nothing'],
  ['measured', measured(objective)],
  ['window', windowText(objective)],
  ['not counted', `${count(events.excluded)} events (given up by the client, or in maintenance)`],
  ['enforced', objective.enforce ? 'the limit is given to requests as their deadline' : 'no, only measured'],
  ['source', `${objective.source.file}, line ${objective.source.line}`],
  ['known since', moment(report.since)],
])}
</section>`
}

function budgetText(left: number | undefined): string {
  if (left === undefined) return '–'
  return left < 0 ? `−${percent(-left)}` : percent(left)
}

function measured({ indicator }: Objective): string {
  if (indicator.kind === 'accuracy' || indicator.kind === 'freshness')
    return `${indicator.kind} of ${indicator.model}, reported from outside`
  return `${indicator.kind} of ${indicator.model}, at the ${indicator.point}`
}

function windowText({ window }: Objective): string {
  if (window.kind === 'rolling') return `the last ${stretch(window.ms)}`
  return `each ${window.count === 1 ? window.unit : `${window.count} ${window.unit}s`} from ${window.startTime}, ${window.timeZone}`
}

function history({ history, objective, alerts }: ReportedObjective, place: number, charts: Charts): Content {
  const points = joined(history)
  if (points.length === 0) return html`<p class="soft">There is no history yet.</p>`
  const at = points.map((point) => Math.round(point.at / 1000))
  const group = `objective-${place + 1}`
  const bad = (point: { good: number; total: number }): number | null =>
    point.total > 0 ? 1 - point.good / point.total : null
  const good = points.map((point) =>
    point.total > 0 ? Number(((100 * point.good) / point.total).toPrecision(6)) : null,
  )
  const burn = points.map((point) => {
    const share = bad(point)
    return share === null ? null : Number((share / (1 - objective.target)).toPrecision(4))
  })
  const rates = new Map(alerts.map(({ burnRate, severity }) => [burnRate, severity]))
  return html`${charts.add(
    { kind: 'good', group, at, good, target: Number((100 * objective.target).toPrecision(8)) },
    'Good events, share',
    `Promised ${percent(objective.target)}.`,
    [{ name: 'good', color: 'publish' }],
  )}${charts.add(
    { kind: 'burn', group, at, burn, alerts: [...rates].map(([burnRate, severity]) => ({ burnRate, severity })) },
    'Burn of the budget',
    'At 1 the budget lasts exactly for the window.',
    [{ name: 'burn', color: 'queue' }],
  )}`
}

function joined(history: ReportedObjective['history']): ReportedObjective['history'] {
  const step = Math.ceil(history.length / POINTS)
  if (step <= 1) return history
  return Array.from({ length: Math.ceil(history.length / step) }, (_, i) => {
    const part = history.slice(i * step, (i + 1) * step)
    return {
      at: part[0]?.at ?? 0,
      good: part.reduce((sum, { good }) => sum + good, 0),
      total: part.reduce((sum, { total }) => sum + total, 0),
    }
  })
}

function burnTable({ burn, alerts }: ReportedObjective): Html {
  const rows = Object.entries(burn)
    .map(([ms, value]) => ({ ms: Number(ms), value }))
    .sort((a, b) => a.ms - b.ms)
  if (rows.length === 0) return html`<p class="soft">No window has enough events yet.</p>`
  // A window belongs to the alert that reads it; where several do, the lowest threshold comes first.
  const limitOf = (ms: number): number | undefined => {
    const limits = alerts.filter((alert) => alert.longMs === ms || alert.shortMs === ms).map((alert) => alert.burnRate)
    return limits.length > 0 ? Math.min(...limits) : undefined
  }
  const most = Math.max(2, ...rows.flatMap(({ ms, value }) => [value, limitOf(ms) ?? 0])) * 1.1
  return html`<div class="scroll"><table class="numbers"><thead><tr><th>window</th><th>burn</th><th class="wide">against its threshold</th><th>threshold</th></tr></thead><tbody>${rows.map(
    ({ ms, value }) => {
      const limit = limitOf(ms)
      const over = limit !== undefined && value > limit
      const says = `burns ${figure(value)} times${limit === undefined ? '' : `, threshold ${figure(limit)}`}`
      return html`<tr><th>${stretch(ms)}</th><td>${figure(value)}×</td><td class="wide">${burnBar(value, limit, most, over, says)}</td><td>${limit === undefined ? '–' : `${figure(limit)}×`}</td></tr>`
    },
  )}</tbody></table></div>`
}

/** A line from 0 to the burn and a mark at the threshold. */
function burnBar(value: number, limit: number | undefined, most: number, over: boolean, says: string): Html {
  const marks = limit === undefined ? [] : [{ value: limit, kind: 'edge' as const }]
  return whisker({ value, low: 0, high: value }, (of) => of / most, over ? 'bad' : 'accent', marks, says)
}

function alertTable(alerts: readonly AlertState[]): Html {
  if (alerts.length === 0) return html`<p class="soft">The contract has no alert for this objective.</p>`
  return html`<div class="scroll"><table class="numbers"><thead><tr><th>alert</th><th>above</th><th>long</th><th>short</th><th></th></tr></thead><tbody>${alerts.map(
    (alert) =>
      html`<tr><th>${alert.policy} <span class="soft">(${alert.severity})</span>${alert.since !== undefined && html`<br><span class="soft small">since ${moment(alert.since)}</span>`}</th><td>${figure(alert.burnRate)}×</td><td>${stretch(alert.longMs)}: ${figure(alert.longBurn)}×</td><td>${stretch(alert.shortMs)}: ${figure(alert.shortBurn)}×</td><td>${alert.firing ? chip('bad', 'firing') : chip('plain', 'quiet')}</td></tr>`,
  )}</tbody></table></div>`
}
