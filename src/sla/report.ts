import { basename } from 'node:path'
import type { Explanation } from '../flight/types.js'
import { STAGES, type Stage } from '../runtime/stats.js'
import type { Model } from '../runtime/types.js'
import type { SlaMonitor } from './monitor.js'
import { percentCut, promiseOf } from './promise.js'
import { type ObjectiveStatus, SLA_SCHEMA, type SlaReport } from './types.js'

const PARTS = 120

/** Stages that follow each other; `total` is all of them, `resolve` is behind it. */
const PARTS_OF_TOTAL = STAGES.filter((stage) => stage !== 'total' && stage !== 'resolve')

const WORDS: Readonly<Record<Stage, string>> = {
  inbox: 'waiting for the batcher to look (inbox)',
  queue: 'waiting for an instance or for more requests (queue)',
  prepare: 'gathering inputs (prepare)',
  compute: 'running in the engine (compute)',
  publish: 'publishing outputs (publish)',
  wake: 'waiting for the event loop of the caller (wake)',
  resolve: 'resolving promises (resolve)',
  total: 'in total',
}

/** What was promised, what was delivered, and where the time of the models went that something is promised of. */
export function slaReport(monitor: SlaMonitor, models: readonly Model[]): SlaReport {
  const status = monitor.status()
  const promised = new Set(status.objectives.map(({ objective }) => objective.indicator.model))
  return {
    schema: SLA_SCHEMA,
    at: status.at,
    since: status.since,
    contract: basename(monitor.contract.file),
    objectives: status.objectives.map((each) => ({
      ...each,
      promise: promiseOf(each.objective),
      delivered: deliveredOf(each),
      history: monitor.history(each.objective.name, PARTS),
    })),
    models: models
      .filter(({ name }) => promised.has(name))
      .map((model) => modelPart(model, thresholdMs(status.objectives, model.name))),
  }
}

/** What an objective got, in a sentence. */
export function deliveredOf({ events, compliance, budgetLeft, notMeasured, objective }: ObjectiveStatus): string {
  if (notMeasured !== undefined) return `not measured: ${notMeasured}`
  const { good, total, excluded } = events
  const aside = excluded > 0 ? `; ${excluded} given up by clients or in maintenance are not counted` : ''
  if (compliance === undefined || budgetLeft === undefined) {
    const wanted = Math.max(1, objective.minimumEvents)
    return `${good} of ${total} events were good: too few to say, the contract wants ${wanted}${aside}`
  }
  const budget = budgetLeft < 0 ? 'the error budget is overspent' : 'of the error budget is left'
  const share = Number(Math.abs(budgetLeft * 100).toFixed(1))
  return `${percentCut(compliance, 4)} (${good} of ${total}), ${budgetLeft < 0 ? `${budget} by ${share} %` : `${share} % ${budget}`}${aside}`
}

/** The shortest latency that is promised for the model, milliseconds. */
function thresholdMs(objectives: readonly ObjectiveStatus[], model: string): number | undefined {
  const all = objectives.flatMap(({ objective: { indicator } }) =>
    indicator.kind === 'latency' && indicator.model === model ? [indicator.thresholdUs / 1000] : [],
  )
  return all.length === 0 ? undefined : Math.min(...all)
}

function modelPart(model: Model, threshold: number | undefined): SlaReport['models'][number] {
  const { name: own, version, engine } = model
  const stagesUs = model.stats().stages
  const slow = [...((model as { slowRequests?(): readonly Explanation[] }).slowRequests?.() ?? [])]
  const over = threshold === undefined ? slow : slow.filter(({ totalMs }) => totalMs > threshold)
  const causes = new Map<string, { kind: string; ms: number; requests: number }>()
  for (const { kind, ms } of over.flatMap((each) => each.causes)) {
    const before = causes.get(kind) ?? { kind, ms: 0, requests: 0 }
    causes.set(kind, { kind, ms: before.ms + ms, requests: before.requests + 1 })
  }
  return {
    model: own,
    version,
    engine,
    stagesUs,
    blame: over.length > 0 ? blameOf(over) : threshold === undefined ? '' : blameByPercentiles(stagesUs, threshold),
    causes: [...causes.values()].sort((a, b) => b.ms - a.ms),
    slow,
  }
}

/** The stage in which the slow requests that were kept spent most. */
function blameOf(slow: readonly Explanation[]): string {
  const spent = (stage: Stage): number => slow.reduce((sum, { stages }) => sum + (stages[stage] ?? 0), 0)
  const all = slow.reduce((sum, { totalMs }) => sum + totalMs, 0)
  const [worst] = [...PARTS_OF_TOTAL].sort((a, b) => spent(b) - spent(a))
  if (worst === undefined || all <= 0) return ''
  const share = Math.round((100 * spent(worst)) / all)
  return `${share} % of the time of ${slow.length} slow requests was spent ${WORDS[worst]}.`
}

/** Where no request was kept: the stage with the longest p99, when that of all stages is over the threshold. */
function blameByPercentiles(stages: SlaReport['models'][number]['stagesUs'], threshold: number): string {
  if (stages.total.count === 0 || stages.total.p99 / 1000 <= threshold) return ''
  const [worst] = [...PARTS_OF_TOTAL].sort((a, b) => stages[b].p99 - stages[a].p99)
  if (worst === undefined) return ''
  const ms = (us: number): string => (us / 1000).toPrecision(3)
  return `The p99 of ${ms(stages.total.p99)} ms is over ${threshold} ms; the longest part of it was ${WORDS[worst]}, p99 ${ms(stages[worst].p99)} ms.`
}
