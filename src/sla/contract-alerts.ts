import type { FieldPath } from '../repository/field-path.js'
import { annotation, annotationPath, type ContractObjects, type Declared, inlined } from './contract-objects.js'
import { shortSpan, spanMs } from './duration.js'
import type { AlertConditionSpec, AlertPolicySpec, NotificationTargetSpec, SloSpec } from './openslo.js'
import type { AlertPolicy, BurnCondition, Window } from './types.js'

const HOUR_MS = 3_600_000

/** Recommended by the SRE workbook, chapter 5, table 5-8. Each has a name of its own, as metrics tell them apart by it. */
const SRE_WORKBOOK: readonly { readonly name: string; readonly condition: BurnCondition }[] = [
  { name: 'page-1h', condition: { severity: 'page', burnRate: 14.4, longMs: HOUR_MS, shortMs: HOUR_MS / 12 } },
  { name: 'page-6h', condition: { severity: 'page', burnRate: 6, longMs: 6 * HOUR_MS, shortMs: HOUR_MS / 2 } },
  { name: 'ticket-3d', condition: { severity: 'ticket', burnRate: 1, longMs: 72 * HOUR_MS, shortMs: 6 * HOUR_MS } },
]

/** The alert policies of an objective: those that its SLO names, or the workbook's where it names none. */
export function alertsOf(
  slo: Declared<SloSpec>,
  target: number,
  window: Window,
  objects: ContractObjects,
): AlertPolicy[] {
  const given = slo.spec.alertPolicies
  if (given === undefined || given === null) {
    const targets = objects.all('AlertNotificationTarget').flatMap((each) => readTarget(each, objects) ?? [])
    return SRE_WORKBOOK.filter(({ condition }) => whyNever(condition, target, window) === undefined).map(
      ({ name, condition }) => ({ name, conditions: [condition], targets }),
    )
  }
  const seen = new Set<string>()
  return given.flatMap((item, index) => {
    const path: FieldPath = ['spec', 'alertPolicies', index]
    const reference = 'alertPolicyRef' in item
    const declared = reference
      ? objects.find('AlertPolicy', item.alertPolicyRef, slo, [...path, 'alertPolicyRef'])
      : inlined(slo, path, item)
    const policy = declared && readPolicy(declared, objects)
    if (policy === undefined) return []
    if (seen.has(policy.name)) {
      objects.invalid(slo, path, `the policy "${policy.name}" is named twice`, 'Name each policy once.')
      return []
    }
    seen.add(policy.name)
    for (const condition of policy.conditions) {
      const why = whyNever(condition, target, window)
      if (why !== undefined) {
        const at = reference ? [...path, 'alertPolicyRef'] : path
        objects.invalid(slo, at, `the policy "${policy.name}" ${why.message}`, why.fix)
      }
    }
    return [policy]
  })
}

/** Why an alert could never fire, or would look further back than its objective does. */
function whyNever(
  { burnRate, longMs }: BurnCondition,
  target: number,
  window: Window,
): { message: string; fix: string } | undefined {
  // All requests bad is an error ratio of 1: the highest burn rate there is.
  const highest = Number((1 / (1 - target)).toPrecision(12))
  if (burnRate >= highest) {
    return {
      message: `can never fire: the burn rate of a target of ${target} is at most ${highest}, and it waits for more than ${burnRate}`,
      fix: `Lower its threshold below ${highest}, or leave the policy out here.`,
    }
  }
  if (window.kind === 'rolling' && longMs > window.ms) {
    return {
      message: `looks back ${shortSpan(longMs)}, further than the objective's window of ${shortSpan(window.ms)}`,
      fix: 'Shorten lookbackWindow, or lengthen the time window.',
    }
  }
  return undefined
}

/** An AlertPolicy with what it refers to; undefined, with a problem, where that is not there. */
export function readPolicy(policy: Declared<AlertPolicySpec>, objects: ContractObjects): AlertPolicy | undefined {
  const { alertWhenNoData, alertWhenBreaching, alertWhenResolved, conditions, notificationTargets } = policy.spec
  if (alertWhenNoData === true) {
    const fix = 'Remove it; watch subten_sla_events_total to see that there is traffic.'
    objects.unsupported(policy, ['spec', 'alertWhenNoData'], 'subten says nothing when there are too few events', fix)
  }
  if (alertWhenBreaching === false) {
    const fix = 'Remove it, or do not name this policy in an SLO.'
    objects.unsupported(policy, ['spec', 'alertWhenBreaching'], 'an alert that does not tell of a breach', fix)
  }
  const burns = conditions.map((item, index) => {
    const path: FieldPath = ['spec', 'conditions', index]
    const declared =
      'conditionRef' in item
        ? objects.find('AlertCondition', item.conditionRef, policy, [...path, 'conditionRef'])
        : inlined(policy, path, item)
    return declared && readCondition(declared, objects)
  })
  const targets = (notificationTargets ?? []).map((item, index) => {
    const path: FieldPath = ['spec', 'notificationTargets', index]
    const declared =
      'targetRef' in item
        ? objects.find('AlertNotificationTarget', item.targetRef, policy, [...path, 'targetRef'])
        : inlined(policy, path, item)
    return declared && readTarget(declared, objects)
  })
  if (burns.includes(undefined) || targets.includes(undefined)) return undefined
  return {
    name: policy.metadata.name,
    conditions: burns as BurnCondition[],
    targets: targets as AlertPolicy['targets'][number][],
    ...(alertWhenResolved === false && { whenResolved: false }),
  }
}

/** A burn rate over a long and a short window. */
export function readCondition(
  declared: Declared<AlertConditionSpec>,
  objects: ContractObjects,
): BurnCondition | undefined {
  const at: FieldPath = ['spec', 'condition']
  const { severity, condition } = declared.spec
  const { op, threshold, lookbackWindow, alertAfter } = condition
  if (op === 'lte' || op === 'lt') {
    const message = `op: ${op} would fire while the burn rate is low, which is when all is well`
    objects.invalid(declared, [...at, 'op'], message, 'Write op: gte.')
  }
  const afterMs = alertAfter === undefined || /^0+[smhdw]?$/.test(alertAfter) ? 0 : spanMs(alertAfter)
  if (afterMs === undefined) {
    const message = `${JSON.stringify(alertAfter)} is no span of time`
    objects.invalid(
      declared,
      [...at, 'alertAfter'],
      message,
      'Write it as 5m, or remove it: an alert is then told at once.',
    )
    return undefined
  }
  const longMs = spanMs(lookbackWindow) ?? 0
  const given = annotation(declared, 'short-window')
  const shortMs = given === undefined ? Math.max(1_000, Math.round(longMs / 12_000) * 1_000) : (spanMs(given) ?? 0)
  if (shortMs >= longMs) {
    const path = given === undefined ? [...at, 'lookbackWindow'] : annotationPath('short-window')
    const message = `the short window (${shortSpan(shortMs)}) must be shorter than the long one (${lookbackWindow})`
    objects.invalid(declared, path, message, 'Take a twelfth of the long window: 5m of 1h.')
    return undefined
  }
  return { severity, burnRate: threshold, longMs, shortMs, ...(afterMs > 0 && { afterMs }) }
}

/** Who is told: a webhook with its address, or a name for Alertmanager. */
export function readTarget(
  declared: Declared<NotificationTargetSpec>,
  objects: ContractObjects,
): AlertPolicy['targets'][number] | undefined {
  const url = annotation(declared, 'url')
  const secretEnv = annotation(declared, 'secret-env')
  const webhook = /^web-?hook$/i.test(declared.spec.target)
  if (webhook && url === undefined) {
    objects.invalid(declared, ['metadata'], 'a webhook needs an address', 'Add the annotation subten.dev/url.')
    return undefined
  }
  if (!webhook && (url ?? secretEnv) !== undefined) {
    const path = annotationPath(url === undefined ? 'secret-env' : 'url')
    const message = `subten sends nothing to the target ${declared.spec.target}`
    objects.invalid(declared, path, message, 'Write target: webhook, or remove the annotation.')
    return undefined
  }
  if (url !== undefined && !URL.canParse(url)) {
    objects.invalid(declared, annotationPath('url'), `${url} is no address`, 'Write it as https://host/path.')
    return undefined
  }
  return {
    name: declared.metadata.name,
    ...(url !== undefined && { url }),
    ...(secretEnv !== undefined && { secretEnv }),
  }
}
