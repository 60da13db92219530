import type { ObjectiveVerdict, ProfileReport, ProfileRun } from '../profile/report-types.js'
import { defaultMinimum } from './contract-slo.js'
import { percent, promiseOf } from './promise.js'
import { countRun, type RunCounts, sightOf } from './run-counts.js'
import { fewestToConfirm, shareInterval } from './share-interval.js'
import type { Contract, Objective } from './types.js'

/**
 * What a load test says of the promises about the model that it measured: kept, broken, or unknown. Each run must keep
 * a promise; the worst one is told. Refused, expired and failed requests are bad events, those that the generator gave
 * up are not counted.
 *
 * A test is a sample: `ok` takes an interval of 95 % that lies at the target or above it, `ok: false` without `unknown`
 * one that lies below it. In between, and where events are too few or the target does not show the point of the promise,
 * `unknown` says why.
 */
export function verdictOf(contract: Contract, report: ProfileReport): ObjectiveVerdict[] {
  return contract.objectives
    .filter(({ indicator }) => indicator.model === report.target.model)
    .map((objective) => judge(objective, report))
}

interface RunVerdict {
  readonly delivered: string
  readonly outcome: 'kept' | 'broken' | 'unknown'
  readonly unknown?: string
  /** Share of good events, the lower where two are possible; 2 where nothing was counted. */
  readonly share: number
}

const ORDER = { broken: 0, unknown: 1, kept: 2 } as const

function judge(objective: Objective, report: ProfileReport): ObjectiveVerdict {
  const verdicts = report.runs.map((run) => judgeRun(objective, report, run))
  verdicts.sort((a, b) => ORDER[a.outcome] - ORDER[b.outcome] || a.share - b.share)
  const worst = verdicts[0] ?? { delivered: 'nothing', outcome: 'unknown', unknown: 'the report has no run', share: 2 }
  return {
    objective: objective.name,
    promise: promiseOf(objective),
    delivered: worst.delivered,
    ok: worst.outcome === 'kept',
    ...(worst.outcome === 'unknown' && { unknown: worst.unknown ?? 'undecided' }),
  }
}

function judgeRun(objective: Objective, report: ProfileReport, run: ProfileRun): RunVerdict {
  const { indicator, slices } = objective
  // A test is one slice of time, and judged as such.
  const target = slices?.target ?? objective.target
  const minimumEvents = slices ? defaultMinimum(objective.target) : objective.minimumEvents
  const of = report.runs.length > 1 ? ` (${run.label})` : ''
  const unknown = (why: string, delivered = 'not measured', share = 2): RunVerdict => ({
    delivered: `${delivered}${of}`,
    outcome: 'unknown',
    unknown: why,
    share,
  })
  const sight = 'point' in indicator ? sightOf(report.target, indicator.point) : 'exact'
  if (sight === 'none') {
    return unknown(
      'a model in this process has no front end, so that nothing happens at edge; measure a server by --url',
    )
  }
  const counts = countRun(run, indicator)
  if (typeof counts === 'string') return unknown(counts)
  if (counts.total === 0) return unknown('there were no events')

  const { goodLow, goodHigh, total } = counts
  const interval = {
    low: shareInterval(goodLow / counts.effect, total / counts.effect).low,
    high: shareInterval(goodHigh / counts.effect, total / counts.effect).high,
  }
  const delivered = inWords(counts, interval)
  const share = goodLow / total
  if (run.schedule?.kept === false) {
    return unknown(run.schedule.reason ?? 'the generator did not keep its schedule', delivered, share)
  }
  if (total < minimumEvents) {
    return unknown(
      `${total} ${counts.unit} are fewer than the ${minimumEvents} that the contract asks for`,
      delivered,
      share,
    )
  }
  if (interval.high < target) {
    if (sight === 'exact') return { delivered: `${delivered}${of}`, outcome: 'broken', share }
    return unknown(
      'seen from outside, where the network and the client take part; measure at client or in process',
      delivered,
      share,
    )
  }
  if (interval.low >= target) {
    if (run.load.kind !== 'closed' || indicator.kind === 'availability') {
      return { delivered: `${delivered}${of}`, outcome: 'kept', share }
    }
    return unknown('a closed loop waits for its answers and so hides stalls; give --rate', delivered, share)
  }
  return unknown(undecided(counts, target), delivered, share)
}

/** What it would take to decide. */
function undecided({ goodLow, goodHigh, total, unit, effect }: RunCounts, target: number): string {
  if (goodLow === total) {
    const needed = fewestToConfirm(target)
    return `all were good, but ${total} ${unit} cannot show ${percent(target)}: it takes ${needed}`
  }
  if (goodLow < target * total && goodHigh >= target * total && goodLow !== goodHigh) {
    return `the run keeps percentiles only, and ${percent(target)} lies between two of them; measure with the threshold as limit`
  }
  const stalls = effect > 2 ? ', which were slow in clusters' : ''
  return `too close to ${percent(target)} to tell with ${total} ${unit}${stalls}; measure longer`
}

function inWords({ goodLow, goodHigh, total, unit }: RunCounts, interval: { low: number; high: number }): string {
  const share = (good: number): string => percent(Number((good / total).toFixed(6)))
  const counted = (good: number): string => good.toLocaleString('en')
  const value = goodLow === goodHigh ? share(goodLow) : `${share(goodLow).replace(' %', '')} to ${share(goodHigh)}`
  const good = goodLow === goodHigh ? counted(goodLow) : `${counted(goodLow)} to ${counted(goodHigh)}`
  // Outwards, so that no interval looks narrower than it is.
  const low = Number((Math.floor(interval.low * 1e6) / 1e4).toFixed(4))
  const high = Number((Math.ceil(interval.high * 1e6) / 1e4).toFixed(4))
  return `${value} (${good} of ${counted(total)} ${unit}; 95 % interval ${low} to ${high} %)`
}
