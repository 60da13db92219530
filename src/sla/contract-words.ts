import { shortSpan } from './duration.js'
import { percent, promiseOf } from './promise.js'
import type { AlertPolicy, Contract, Maintenance, Objective } from './types.js'

/** What a contract promises, a paragraph an objective. */
export function contractInWords({ objectives, maintenance }: Contract): string {
  return [...objectives.map(objectiveInWords), ...maintenance.map(maintenanceInWords)].join('\n\n')
}

function objectiveInWords(objective: Objective): string {
  const { name, service, owner, consequences, minimumEvents, enforce, alerts, target } = objective
  const budget = percent(Number((1 - target).toPrecision(12)))
  return [
    `${name}: ${promiseOf(objective)}`,
    `service ${service}${owner === '' ? '' : `, owner ${owner}`}`,
    `error budget ${budget}; nothing is said of fewer than ${minimumEvents} events`,
    ...(enforce ? ['requests get the threshold as their deadline'] : []),
    ...alerts.flatMap(policyInWords),
    ...(alerts.length === 0 ? ['no alerts'] : []),
    ...(consequences === '' ? [] : [`when it is broken: ${consequences}`]),
  ].join('\n  ')
}

function policyInWords({ conditions, targets }: AlertPolicy): string[] {
  const told = targets.length === 0 ? '' : `, tells ${targets.map(({ name }) => name).join(', ')}`
  return conditions.map(
    ({ severity, burnRate, longMs, shortMs }) =>
      `${severity} when ${shortSpan(longMs)} and ${shortSpan(shortMs)} burn faster than ${burnRate}${told}`,
  )
}

function maintenanceInWords({ from, to, reason, service }: Maintenance): string {
  const span = `${new Date(from).toISOString()} to ${new Date(to).toISOString()}`
  return `not counted for ${service ?? 'any service'}: ${span}${reason === '' ? '' : `, ${reason}`}`
}
