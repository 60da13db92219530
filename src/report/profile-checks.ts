import type { MlperfResult, ObjectiveVerdict, RateSearch } from '../profile/report-types.js'
import type { Charts } from './charts.js'
import { card, chip } from './frame.js'
import { type Html, html } from './html.js'
import { figure, rate, time } from './quantities.js'
import { short } from './thin-series.js'

/** What a load test says of a contract, an objective a line. */
export function verdictCard(verdicts: readonly ObjectiveVerdict[]): Html {
  const row = ({ objective, promise, delivered, ok, unknown }: ObjectiveVerdict): Html =>
    html`<tr><td class="state">${unknown === undefined ? (ok ? chip('good', 'met') : chip('bad', 'broken')) : chip('warn', 'not judged')}</td><th>${objective}</th><td class="text">${promise}</td><td class="text">${unknown ?? delivered}</td></tr>`
  return card(
    'verdict',
    'Contract',
    '',
    html`<div class="scroll"><table class="texts"><thead><tr><th></th><th>objective</th><th>promised</th><th>delivered</th></tr></thead><tbody>${verdicts.map(row)}</tbody></table></div>`,
  )
}

/** Steps of a table that are shown; more are folded. */
const STEPS = 12

export function searchCard(search: RateSearch, charts: Charts): Html {
  const { steps, percentile, limitUs } = search
  const lead = `The highest rate at which ${percentile} stays within ${time(limitUs)} is ${rate(search.rate)}; repeated searches gave ${rate(search.low)} to ${rate(search.high)}.`
  const chart =
    steps.length > 0 &&
    charts.add(
      {
        kind: 'search',
        percentile,
        rate: steps.map((step) => short(step.rate)),
        us: steps.map((step) => short(step.us)),
        ok: steps.map((step) => step.ok),
        limitUs,
        found: search.rate,
      },
      `${percentile} at the rates that were tried`,
      lead,
      [
        { name: 'within the limit', color: 'good', shape: 'dot' },
        { name: 'beyond, or not judged', color: 'bad', shape: 'ring' },
        { name: `limit ${time(limitUs)}`, color: 'soft', shape: 'dash' },
      ],
    )
  const rows = (part: RateSearch['steps']): Html =>
    html`<div class="scroll"><table class="numbers"><thead><tr><th>rate</th><th>repeat</th><th>${percentile}</th><th></th><th class="text">why</th></tr></thead><tbody>${part.map(
      (step) =>
        html`<tr><th>${rate(step.rate)}</th><td>${step.repeat}</td><td>${time(step.us)}</td><td>${step.ok ? chip('good', 'within') : chip('bad', 'no')}</td><td class="text">${step.why}</td></tr>`,
    )}</tbody></table></div>`
  const table =
    steps.length <= STEPS
      ? rows(steps)
      : html`<details><summary>All ${steps.length} steps</summary>${rows(steps)}</details>`
  return card('search', 'Search for the highest rate', lead, html`${chart}${steps.length > 0 && table}`)
}

export function mlperfCard({ scenario, valid, checks, metric }: MlperfResult): Html {
  const value = metric.unit === 'µs' ? time(metric.value) : `${figure(metric.value)} ${metric.unit}`
  return card(
    'mlperf',
    `MLPerf inference, ${scenario}`,
    html`${metric.name}: <b>${value}</b>${!valid && html`, which does not count: the run is not valid`}. Not a submission, and not reviewed by MLCommons.`,
    html`<div class="scroll"><table class="texts"><tbody>${checks.map(
      ({ rule, ok, detail }) =>
        html`<tr><td class="state">${ok ? chip('good', 'holds') : chip('bad', 'fails')}</td><th>${rule}</th><td class="text">${detail}</td></tr>`,
    )}</tbody></table></div>`,
  )
}
