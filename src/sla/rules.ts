import { stringify } from 'yaml'
import { shortSpan, spanInWords } from './duration.js'
import { percent, promiseOf, windowInWords } from './promise.js'
import type { AlertPolicy, BurnCondition, Contract, Objective } from './types.js'

type Rule =
  | { readonly record: string; readonly expr: string; readonly labels: Readonly<Record<string, string>> }
  | {
      readonly alert: string
      readonly expr: string
      readonly for?: string
      readonly labels: Readonly<Record<string, string>>
      readonly annotations: Readonly<Record<string, string>>
    }

interface RuleGroup {
  readonly name: string
  readonly interval?: string
  readonly rules: readonly Rule[]
}

const BY = 'sum by (objective, service, model)'

/**
 * Prometheus rules of a contract, as YAML for `rule_files`: recording rules for the burn rate of each window and alerts
 * when a long and a short window both burn faster than a condition says (Site Reliability Workbook, chapter 5, "Multiwindow,
 * Multi-Burn-Rate Alerts"). They read the counters that `subten serve --sla` publishes and add up its instances. Below
 * the minimum of events in the long window nothing fires.
 */
export function prometheusRules(contract: Contract): string {
  const groups = contract.objectives.flatMap((objective) => [...burnGroup(objective), budgetGroup(objective)])
  const head = [
    `Made by \`subten sla rules\` from ${contract.file.replace(/[^\x20-\x7e]/g, '?')}: change that file, not this one.`,
    'Needs the metrics of `subten serve --sla`. A budget is right only where Prometheus keeps samples for as long as',
    `its window (--storage.tsdb.retention.time): here ${longestWindow(contract)}.`,
  ]
  return `${head.map((line) => `# ${line}\n`).join('')}${stringify({ groups }, { lineWidth: 0, aliasDuplicateObjects: false })}`
}

function longestWindow({ objectives }: Contract): string {
  const rolling = objectives.flatMap(({ window }) => (window.kind === 'rolling' ? [window.ms] : []))
  return spanInWords(
    Math.max(0, ...rolling, ...objectives.flatMap((o) => conditionsOf(o).map((c) => c.condition.longMs))),
  )
}

function conditionsOf({ alerts }: Objective): { policy: AlertPolicy; condition: BurnCondition }[] {
  return alerts.flatMap((policy) => policy.conditions.map((condition) => ({ policy, condition })))
}

/** Burn rates and the alerts on them. Rules of a group are evaluated in order: those below use those above. */
function burnGroup(objective: Objective): RuleGroup[] {
  const conditions = conditionsOf(objective)
  if (conditions.length === 0) return []
  const windows = [...new Set(conditions.flatMap(({ condition }) => [condition.shortMs, condition.longMs]))]
  return [
    {
      name: `subten-sla-${objective.name}-burn`,
      rules: [
        ...windows.sort((a, b) => a - b).flatMap((ms) => [eventsRule(objective, ms), burnRule(objective, ms)]),
        ...conditions.map(({ policy, condition }) => burnAlert(objective, policy, condition)),
      ],
    },
  ]
}

/**
 * What is left of the budget. A window of weeks is much to read, so a rolling one is evaluated every five minutes; a
 * calendar window cannot be written in PromQL and comes from the gauge of the server.
 */
function budgetGroup(objective: Objective): RuleGroup {
  const { window, minimumEvents } = objective
  const name = `subten-sla-${objective.name}-budget`
  const labels = labelsOf(objective, 'ticket')
  const annotations = {
    summary: template`${objective.name} is broken: its error budget is used up`,
    description: template`Promised: ${promiseOf(objective)}. ${objective.description}`,
    ...consequence(objective),
  }
  if (window.kind === 'calendar') {
    const expr = `min by (objective, service, model) (subten_sla_error_budget_remaining${selector(objective)}) < 0`
    return { name, rules: [{ alert: 'SubtenPromiseBroken', expr, labels, annotations }] }
  }
  const left = `objective:subten_sla_error_budget_remaining:ratio${shortSpan(window.ms)}`
  const windows = conditionsOf(objective).flatMap(({ condition }) => [condition.longMs, condition.shortMs])
  return {
    name,
    ...(window.ms >= 86_400_000 && { interval: '5m' }),
    rules: [
      ...(windows.includes(window.ms) ? [] : [eventsRule(objective, window.ms)]),
      { record: left, expr: `1 - ${burnExpression(objective, window.ms)}`, labels: identity(objective) },
      {
        alert: 'SubtenPromiseBroken',
        expr: [
          `${left}${selector(objective)} < 0`,
          `and ${eventsName(window.ms)}${selector(objective)} >= ${minimumEvents}`,
        ].join('\n'),
        labels,
        annotations,
      },
    ],
  }
}

const burnName = (ms: number): string => `objective:subten_sla_burn_rate:ratio${shortSpan(ms)}`
const eventsName = (ms: number): string => `objective:subten_sla_events:increase${shortSpan(ms)}`

function eventsRule(objective: Objective, ms: number): Rule {
  const expr = `${BY} (increase(subten_sla_events_total${selector(objective)}[${shortSpan(ms)}]))`
  return { record: eventsName(ms), expr, labels: identity(objective) }
}

function burnRule(objective: Objective, ms: number): Rule {
  return { record: burnName(ms), expr: burnExpression(objective, ms), labels: identity(objective) }
}

/** Error ratio over error budget. Where nothing was good yet its counter may be missing: no good events, not no data. */
function burnExpression(objective: Objective, ms: number): string {
  const all = `${eventsName(ms)}${selector(objective)}`
  const good = `${BY} (increase(subten_sla_good_events_total${selector(objective)}[${shortSpan(ms)}]))`
  return `(1 - (${good} or 0 * ${all}) / ${all}) / ${budget(objective)}`
}

/** 1 - target, without the noise of binary fractions. */
function budget({ target }: Objective): number {
  return Number((1 - target).toPrecision(12))
}

function burnAlert(objective: Objective, policy: AlertPolicy, condition: BurnCondition): Rule {
  const { burnRate, longMs, shortMs, afterMs, severity } = condition
  const at = selector(objective)
  const { window } = objective
  const used =
    window.kind === 'rolling'
      ? ` A burn rate of ${burnRate} for ${spanInWords(longMs)} is ${percent(Number(((burnRate * longMs) / window.ms).toFixed(4)))} of the budget of ${spanInWords(window.ms)}.`
      : ` The budget counts ${windowInWords(window)}.`
  return {
    alert: 'SubtenErrorBudgetBurn',
    expr: [
      `${burnName(longMs)}${at} > ${burnRate}`,
      `and ${burnName(shortMs)}${at} > ${burnRate}`,
      `and ${eventsName(longMs)}${at} >= ${objective.minimumEvents}`,
    ].join('\n'),
    ...(afterMs !== undefined && { for: shortSpan(afterMs) }),
    labels: {
      ...labelsOf(objective, severity),
      policy: template`${policy.name}`,
      window: shortSpan(longMs),
      ...(policy.targets.length > 0 && { notify: template`${policy.targets.map(({ name }) => name).join(',')}` }),
    },
    annotations: {
      summary: `${template`${objective.name} burns its error budget`} {{ $value | printf "%.1f" }} times as fast as it may`,
      description: template`Promised: ${promiseOf(objective)}. The burn rate of ${spanInWords(longMs)} and that of ${spanInWords(shortMs)} are above ${String(burnRate)}.${used}`,
      ...consequence(objective),
    },
  }
}

/** Written on each rule, though its expression has them as well: a check for duplicates looks at these alone. */
function identity({ name, service, indicator }: Objective): Record<string, string> {
  return { objective: template`${name}`, service: template`${service}`, model: indicator.model }
}

function labelsOf(objective: Objective, severity: string): Record<string, string> {
  const { owner } = objective
  return { severity, ...identity(objective), ...(owner !== '' && { owner: template`${owner}` }) }
}

function consequence({ consequences }: Objective): Record<string, string> {
  return consequences === '' ? {} : { consequences: template`${consequences}` }
}

/** Label matchers; the value of a matcher is a string of PromQL. */
function selector({ name, service }: Objective): string {
  return `{objective=${quoted(name)},service=${quoted(service)}}`
}

function quoted(text: string): string {
  return `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`
}

/** Labels and annotations are templates: braces in the contract's words are text, not code. */
function template(strings: TemplateStringsArray, ...values: readonly string[]): string {
  return String.raw({ raw: strings }, ...values.map((value) => value.replaceAll('{{', '{{ "{{" }}'))).trim()
}
