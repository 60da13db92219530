import type { FieldPath } from '../repository/field-path.js'
import { type ContractObjects, type Declared, inlined } from './contract-objects.js'
import { type SpecName, specHasForm } from './contract-schema.js'
import { latencyUs } from './duration.js'
import type { MetricQuery, SliSpec, SloObjective, SloSpec } from './openslo.js'
import type { Indicator, Point } from './types.js'

/** A subten indicator in a contract, as `metricSource.spec` has it. */
interface IndicatorSpec {
  readonly indicator: Indicator['kind']
  readonly model: string
  readonly point?: Point
  readonly threshold?: string
  readonly perSecond?: number
  readonly unit?: 'us' | 'ms' | 's'
}

const IN_US = { us: 1, ms: 1_000, s: 1_000_000 } as const

/** What an SLO measures; undefined, with a problem, where it does not say so or subten cannot. */
export function indicatorOf(slo: Declared<SloSpec>, objects: ContractObjects): Indicator | undefined {
  const { indicator, indicatorRef, objectives } = slo.spec
  if ((indicator === undefined) === (indicatorRef === undefined)) {
    // Composite SLOs have it in their objectives; they are refused there.
    if (indicator === undefined && objectives.some((o) => o.indicator ?? o.indicatorRef)) return undefined
    objects.invalid(
      slo,
      ['spec'],
      indicator === undefined ? 'indicator is missing' : 'indicator and indicatorRef are both given',
      'Give indicatorRef, the name of an SLI, or indicator, a whole SLI.',
    )
    return undefined
  }
  const sli =
    indicatorRef !== undefined
      ? objects.find('SLI', indicatorRef, slo, ['spec', 'indicatorRef'])
      : inlined(slo, ['spec', 'indicator'], indicator as NonNullable<typeof indicator>)
  if (sli === undefined) return undefined
  if (sli.spec.thresholdMetric !== undefined) return thresholdIndicator(slo, sli, objects)
  return ratioIndicator(slo, sli, objects)
}

function ratioIndicator(
  slo: Declared<SloSpec>,
  sli: Declared<SliSpec>,
  objects: ContractObjects,
): Indicator | undefined {
  slo.spec.objectives.forEach((objective, index) => {
    if (objective.value === undefined) return
    objects.invalid(
      slo,
      ['spec', 'objectives', index, 'value'],
      'value goes with a thresholdMetric, and this is a ratioMetric',
      'Remove value; the limit is the threshold of the indicator.',
    )
  })
  const indicator = checkRatio(sli, objects)
  return indicator && assemble(indicator.spec, latencyUs(indicator.spec.threshold ?? ''), sli, indicator.path, objects)
}

/** Reads `good` and `total` of an SLI, whether an SLO names it or not. */
export function checkRatio(
  sli: Declared<SliSpec>,
  objects: ContractObjects,
): { spec: IndicatorSpec; path: FieldPath } | undefined {
  const at: FieldPath = ['spec', 'ratioMetric']
  const { good, bad, total, raw } = sli.spec.ratioMetric ?? {}
  const otherForm = raw !== undefined ? 'raw' : bad !== undefined ? 'bad' : undefined
  if (otherForm !== undefined) {
    objects.unsupported(
      sli,
      [...at, otherForm],
      `subten counts good and total events, and has no ${otherForm} metric`,
      'Give good and total with type: subten.',
    )
    return undefined
  }
  if (good === undefined || total === undefined) {
    const missing = good === undefined ? 'good' : 'total'
    objects.invalid(sli, at, `${missing} is missing`, 'A ratioMetric has good and total.')
    return undefined
  }
  const goodSpec = readSource<IndicatorSpec>(good, sli, [...at, 'good'], 'subtenGood', objects)
  if (goodSpec === undefined) return undefined
  const totalSpec = readSource<Partial<IndicatorSpec>>(total, sli, [...at, 'total'], 'subtenTotal', objects)
  for (const field of ['model', 'indicator', 'point'] as const) {
    const other = totalSpec?.[field]
    if (other === undefined || other === goodSpec[field]) continue
    objects.invalid(
      sli,
      [...at, 'total', 'metricSource', 'spec', field],
      `total is about the ${field} ${other}, good about ${goodSpec[field] ?? 'none'}`,
      `Name the same ${field} in both, or leave it out of total.`,
    )
  }
  return totalSpec && { spec: goodSpec, path: [...at, 'good', 'metricSource', 'spec', 'threshold'] }
}

function thresholdIndicator(
  slo: Declared<SloSpec>,
  sli: Declared<SliSpec>,
  objects: ContractObjects,
): Indicator | undefined {
  const spec = checkThreshold(sli, objects)
  if (spec === undefined) return undefined
  const { objectives } = slo.spec
  if (objectives.length > 1) {
    objects.invalid(
      slo,
      ['spec', 'objectives'],
      'a thresholdMetric has one objective',
      'Write an SLO for each limit, or a ratioMetric with several targets.',
    )
  }
  const { op, value } = objectives[0] as SloObjective
  if (op !== 'lte' && op !== 'lt') {
    const path = ['spec', 'objectives', 0, ...(op === undefined ? [] : ['op'])]
    objects.invalid(slo, path, `${spec.indicator} is good when it is small`, 'Write op: lte.')
  }
  if (value === undefined) {
    objects.invalid(
      slo,
      ['spec', 'objectives', 0],
      'value is missing',
      `Add the limit, in ${spec.unit ?? 'ms'}, as value.`,
    )
    return undefined
  }
  const us = Number((value * IN_US[spec.unit ?? 'ms']).toPrecision(12))
  return assemble(spec, us, slo, ['spec', 'objectives', 0, 'value'], objects)
}

/** Reads the thresholdMetric of an SLI, whether an SLO names it or not. */
export function checkThreshold(sli: Declared<SliSpec>, objects: ContractObjects): IndicatorSpec | undefined {
  const { thresholdMetric } = sli.spec
  const path = ['spec', 'thresholdMetric']
  return thresholdMetric && readSource<IndicatorSpec>(thresholdMetric, sli, path, 'subtenThreshold', objects)
}

/** The spec of a metricSource that is subten's. */
function readSource<Spec>(
  query: MetricQuery,
  sli: Declared<SliSpec>,
  path: FieldPath,
  form: SpecName,
  objects: ContractObjects,
): Spec | undefined {
  const { type, metricSourceRef, spec } = query.metricSource
  const at = [...path, 'metricSource']
  let source = type
  if (metricSourceRef !== undefined && (type === undefined || type === 'subten')) {
    const declared = objects.find('DataSource', metricSourceRef, sli, [...at, 'metricSourceRef'])
    if (declared === undefined) return undefined
    source = declared.spec.type
    if (type !== undefined && source !== type) {
      const message = `the DataSource "${metricSourceRef}" is of type ${source}, not ${type}`
      objects.invalid(sli, [...at, 'type'], message, 'Remove type or metricSourceRef.')
      return undefined
    }
  }
  if (source === undefined) {
    objects.invalid(
      sli,
      at,
      'type is missing',
      'Write type: subten, or metricSourceRef with a DataSource of that type.',
    )
    return undefined
  }
  if (source !== 'subten') {
    objects.unsupported(
      sli,
      [...at, type === undefined ? 'metricSourceRef' : 'type'],
      `subten does not query ${source}: it measures only the models that it runs`,
      'Write type: subten and one of its indicators (latency, availability, goodput, accuracy, freshness), or keep this SLO in another file.',
    )
    return undefined
  }
  const specPath = [...sli.base, ...at, 'spec']
  // With type: subten the schema of the whole object has looked at it.
  if (type === undefined && !specHasForm(sli.source, specPath, spec, form, objects.problems)) return undefined
  return spec as Spec
}

function assemble(
  spec: IndicatorSpec,
  us: number | undefined,
  object: Declared<unknown>,
  thresholdPath: FieldPath,
  objects: ContractObjects,
): Indicator | undefined {
  const { indicator: kind, model, point = 'engine', perSecond = 0 } = spec
  if (kind === 'accuracy') return { kind, model }
  if (kind === 'availability') return { kind, model, point }
  if (us === undefined || us <= 0) {
    objects.invalid(object, thresholdPath, 'the limit must be above 0', 'Write a duration such as 10ms.')
    return undefined
  }
  if (kind === 'latency') return { kind, model, point, thresholdUs: us }
  if (kind === 'freshness') return { kind, model, thresholdUs: us }
  return { kind, model, point, thresholdUs: us, perSecond }
}
