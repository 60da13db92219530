import type { FieldPath } from '../repository/field-path.js'
import { alertsOf } from './contract-alerts.js'
import { indicatorOf } from './contract-indicator.js'
import { annotation, annotationPath, type ContractObjects, type Declared } from './contract-objects.js'
import { windowOf } from './contract-window.js'
import { spanMs } from './duration.js'
import type { SloObjective, SloSpec } from './openslo.js'
import type { Indicator, Objective, Slices } from './types.js'

/** The objectives of one SLO. Those that are wrong are left out and stand in the problems. */
export function objectivesOf(slo: Declared<SloSpec>, objects: ContractObjects, file: string): Objective[] {
  const { spec, metadata } = slo
  checkFields(slo, objects)
  const indicator = indicatorOf(slo, objects)
  const window = windowOf(slo, objects)
  const service = serviceOf(slo, objects)
  const enforce = enforceOf(slo, indicator, objects)
  const several = spec.objectives.length > 1
  return spec.objectives.flatMap((given, index) => {
    const target = targetOf(given)
    const alerts = window === undefined ? [] : alertsOf(slo, target, window, objects)
    if (indicator === undefined || window === undefined) return []
    const slices = slicesOf(slo, given, index, objects)
    const minimum = annotation(slo, 'minimum-events')
    return [
      {
        name: several ? `${metadata.name}/${given.displayName ?? index + 1}` : metadata.name,
        description: spec.description ?? given.displayName ?? metadata.displayName ?? '',
        service: spec.service,
        owner: annotation(slo, 'owner') ?? (service && annotation(service, 'owner')) ?? '',
        indicator,
        target,
        window,
        ...(slices && { slices }),
        minimumEvents: minimum === undefined ? defaultMinimum(target) : Number(minimum),
        alerts,
        consequences: annotation(slo, 'consequences') ?? (service && annotation(service, 'consequences')) ?? '',
        enforce,
        source: { file, line: objects.placeOf(slo, ['metadata', 'name']).line },
      },
    ]
  })
}

/** As many events as it takes for one bad one to be no more than the whole budget: a burn rate of 1. */
export function defaultMinimum(target: number): number {
  return Math.max(20, Math.ceil(Number((1 / (1 - target)).toPrecision(12))))
}

function targetOf({ target, targetPercent = 0 }: SloObjective): number {
  // 99.95 / 100 in binary is not always the double that 0.9995 is.
  return target ?? Number((targetPercent / 100).toPrecision(15))
}

/** What the method of budgeting makes of an objective: slices of time, or nothing for Occurrences. */
function slicesOf(
  slo: Declared<SloSpec>,
  { timeSliceWindow, timeSliceTarget }: SloObjective,
  index: number,
  objects: ContractObjects,
): Slices | undefined {
  const { budgetingMethod = 'Occurrences' } = slo.spec
  if (budgetingMethod === 'Occurrences') return undefined
  const at: FieldPath = ['spec', 'objectives', index]
  const ms = typeof timeSliceWindow === 'string' ? spanMs(timeSliceWindow) : undefined
  if (ms === undefined) {
    // A number alone has no unit, and OpenSLO names none.
    const given = timeSliceWindow === undefined ? 'is missing' : `${JSON.stringify(timeSliceWindow)} has no unit`
    objects.invalid(slo, [...at, 'timeSliceWindow'], `${budgetingMethod}: it ${given}`, 'Write it as 1m or 30s.')
    return undefined
  }
  if (budgetingMethod === 'RatioTimeslices') {
    if (timeSliceTarget === undefined) return { ms }
    objects.invalid(slo, [...at, 'timeSliceTarget'], 'goes with budgetingMethod: Timeslices only', 'Remove it.')
    return undefined
  }
  if (timeSliceTarget !== undefined) return { ms, target: timeSliceTarget }
  const fix = 'Write the share of good events that makes a slice good, as 0.95.'
  objects.invalid(slo, [...at, 'timeSliceTarget'], 'Timeslices: it is missing', fix)
  return undefined
}

/** Fields that the method does not take, and those that only composite SLOs have. */
function checkFields(slo: Declared<SloSpec>, objects: ContractObjects): void {
  const { budgetingMethod = 'Occurrences', objectives } = slo.spec
  objectives.forEach((objective, index) => {
    const at: FieldPath = ['spec', 'objectives', index]
    for (const field of ['timeSliceTarget', 'timeSliceWindow'] as const) {
      if (objective[field] === undefined || budgetingMethod !== 'Occurrences') continue
      objects.invalid(slo, [...at, field], 'goes with budgetingMethod: Timeslices only', 'Remove it.')
    }
    for (const field of ['indicator', 'indicatorRef', 'compositeWeight'] as const) {
      if (objective[field] === undefined) continue
      const message = 'subten does not measure composite SLOs'
      objects.unsupported(slo, [...at, field], message, 'Write an SLO for each indicator.')
      return
    }
  })
}

/** The Service of an SLO. A file that describes no service at all takes any name, as OpenSLO allows. */
function serviceOf(slo: Declared<SloSpec>, objects: ContractObjects): Declared<unknown> | undefined {
  if (!objects.has('Service')) return undefined
  return objects.find('Service', slo.spec.service, slo, ['spec', 'service'])
}

function enforceOf(slo: Declared<SloSpec>, indicator: Indicator | undefined, objects: ContractObjects): boolean {
  if (annotation(slo, 'enforce') !== 'deadline') return false
  if (indicator === undefined) return true
  if (indicator.kind === 'latency' && indicator.point !== 'client') return true
  const why =
    indicator.kind === 'latency'
      ? 'a latency at the client cannot be enforced: part of it passes outside this process'
      : `only a latency can be enforced as a deadline, and this is ${indicator.kind}`
  const fix = 'Remove it, or measure a latency at edge or engine.'
  objects.invalid(slo, annotationPath('enforce'), why, fix)
  return true
}

/** A request has one deadline: of the objectives of a model that are enforced, all must have the same threshold. */
export function checkEnforced(
  slos: readonly (readonly [Declared<SloSpec>, Objective[]])[],
  objects: ContractObjects,
): void {
  const thresholds = new Map<string, Objective>()
  for (const [slo, [objective]] of slos) {
    if (!objective?.enforce || objective.indicator.kind !== 'latency') continue
    const { model, thresholdUs } = objective.indicator
    const other = thresholds.get(model)
    if (other === undefined) thresholds.set(model, objective)
    else if (other.indicator.kind === 'latency' && other.indicator.thresholdUs !== thresholdUs) {
      const message = `"${other.name}" on line ${other.source.line} gives requests of ${model} another deadline`
      objects.invalid(slo, annotationPath('enforce'), message, 'Enforce one of them, the one that matters most.')
    }
  }
}
