import type { ObjectiveStatus, SlaReport } from '../sla/types.js'
import { meter } from './bars.js'
import { Charts } from './charts.js'
import { documentOf } from './document.js'
import { banner, card, chip, masthead } from './frame.js'
import { type Content, type Html, html } from './html.js'
import { counted, moment, percent, stretch } from './quantities.js'
import { modelSection } from './sla-model.js'
import { objectiveSection } from './sla-objective.js'
import { STATES } from './sla-states.js'

type Objectives = SlaReport['objectives']

/**
 * What was promised, what was delivered, and where the time went, as one HTML file that needs no network.
 *
 * @returns the text of the file, UTF-8
 */
export function slaHtml(report: SlaReport): string {
  const charts = new Charts()
  const { objectives, models } = report
  const broken = objectives.filter(({ state }) => state === 'broken')
  const body = html`<main>
${masthead('service levels', report.contract, html`${moment(report.since)} to ${moment(report.at)}, ${stretch(Math.max(0, report.at - report.since))}`)}
${judgement(objectives)}
${objectives.length > 0 && card('objectives', 'Objectives', 'What was promised and what was delivered; the budget is the share of bad events that the promise allows.', table(objectives))}
${objectives.map((objective, i) => objectiveSection(objective, i, charts, report))}
${models.map((model, i) => modelSection(model, i))}
</main>
<footer><p>Refused, expired and failed requests count as bad; those that the client gave up count for nobody. Burn is the rate at which the budget is used: at 1× it lasts exactly for the window. An alert fires when a long and a short window both burn faster than its threshold.</p></footer>`
  return documentOf(`${broken.length > 0 ? 'BROKEN: ' : ''}${report.contract}, service levels`, body, charts.all)
}

function judgement(objectives: Objectives): Html {
  const of = (state: ObjectiveStatus['state']): Objectives =>
    objectives.filter((objective) => objective.state === state)
  const [broken, risk, few] = [of('broken'), of('at-risk'), of('too-few')]
  const firing = objectives.flatMap(({ alerts }) => alerts.filter((alert) => alert.firing))
  const says: Content = [
    listed(broken, 'Broken'),
    listed(risk, 'At risk'),
    listed(few, 'Too few events to judge'),
    firing.length > 0 &&
      html`<p>${counted(firing.length, 'alert')} firing, ${firing.filter(({ severity }) => severity === 'page').length} of them to a pager.</p>`,
  ]
  if (objectives.length === 0)
    return banner('plain', 'The contract has no objective', html`<p>There is nothing to judge.</p>`)
  if (broken.length > 0)
    return banner('bad', `${broken.length} of ${counted(objectives.length, 'objective')} broken`, says)
  if (risk.length > 0)
    return banner('warn', `${risk.length} of ${counted(objectives.length, 'objective')} at risk`, says)
  if (few.length === objectives.length) return banner('plain', 'Too few events to judge any objective', '')
  return banner(
    'good',
    few.length > 0
      ? 'All that could be judged is met'
      : objectives.length === 1
        ? 'The objective is met'
        : `All ${objectives.length} objectives met`,
    says,
  )
}

function listed(objectives: Objectives, what: string): Content {
  if (objectives.length === 0) return undefined
  const names = objectives.slice(0, 6).map(({ objective }) => objective.name)
  return html`<p>${what}: ${names.join(', ')}${objectives.length > 6 && ` and ${objectives.length - 6} more`}</p>`
}

function table(objectives: Objectives): Html {
  const row = (each: Objectives[number], place: number): Html => {
    const { tone, text } = STATES[each.state]
    return html`<tr><td class="state">${chip(tone, text)}</td><th><a href="#objective-${place + 1}">${each.objective.name}</a></th><td class="text">${each.promise}</td><td class="text">${each.delivered}</td><td class="budget">${budget(each)}</td></tr>`
  }
  return html`<div class="scroll"><table class="texts"><thead><tr><th></th><th>objective</th><th>promised</th><th>delivered</th><th>budget left</th></tr></thead><tbody>${objectives.map(row)}</tbody></table></div>`
}

/** The budget as a bar; what is overspent shows in words, since a bar below nothing cannot. */
function budget({ budgetLeft, state }: ObjectiveStatus): Html {
  if (budgetLeft === undefined) return html`<span class="soft">not known</span>`
  const { tone } = STATES[state]
  const says = budgetLeft >= 0 ? `${percent(budgetLeft)} left` : `overspent: ${percent(1 - budgetLeft)} used`
  return html`${meter(budgetLeft >= 0 ? budgetLeft : 1, budgetLeft < 0 ? 'bad' : tone === 'plain' ? 'soft' : tone, says)}<span class="soft">${says}</span>`
}
