import type { Candidate, OptimizeReport } from '../optimize/types.js'
import type { Tone } from './frame.js'
import { counted, percent, rate, time } from './quantities.js'

/** `vision_int8 · batches ≤ 8, delay 1 ms · 1 instance × 2 threads`; with the engine where there are several. */
export function settingText(one: Candidate, { results }: Pick<OptimizeReport, 'results'>): string {
  const several = new Set(results.map(({ candidate }) => candidate.engine)).size > 1
  return `${one.variant}${several ? ` on ${one.engine}` : ''} · ${batchingShort(one)} · ${workersShort(one)}`
}

export function batchingShort({ batching }: Pick<Candidate, 'batching'>): string {
  if (batching.kind === 'off') return 'no batching'
  if (batching.kind === 'slo') return `deadline-aware ≤ ${batching.maxBatch}`
  return `batches ≤ ${batching.maxBatch}${batching.delayUs === 0 ? '' : `, delay ${time(batching.delayUs)}`}`
}

export function workersShort({ instances, threads }: Candidate): string {
  return threads === 0
    ? counted(instances, 'instance')
    : `${counted(instances, 'instance')} × ${counted(threads, 'thread')}`
}

export interface Headline {
  readonly tone: Tone
  readonly title: string
  readonly says: readonly string[]
}

/** The judgement: the setting, what it can do, against what it is measured, and whether it was seen to hold. */
export function headlineOf(report: OptimizeReport): Headline {
  const { recommendation, slo, baseline, gain, results } = report
  const limit = time(slo.limitUs)
  if (recommendation === undefined) {
    const best = Math.max(0, ...results.map(({ capacity }) => capacity.value))
    return {
      tone: 'bad',
      title: `No setting keeps p99 within ${limit}`,
      says: [
        best > 0
          ? 'Only variants kept it that may not be recommended: see below.'
          : 'Not one of the settings kept it at any rate that was tried. A longer limit, a smaller model or a faster machine would help.',
      ],
    }
  }
  const { candidate, capacity, verified, why } = recommendation
  const says: string[] = []
  says.push(
    capacity.high > capacity.low
      ? `It serves ${rate(capacity.value)} (95 % interval ${rate(capacity.low)} to ${rate(capacity.high)}) with p99 within ${limit}.`
      : `It serves ${rate(capacity.value)} with p99 within ${limit}; it was measured once, so there is no interval.`,
  )
  if (baseline !== undefined && gain !== undefined && baseline.id !== candidate.id) {
    const { value, low, high } = gain.ratio
    const range = Number.isFinite(high) ? ` (${low.toFixed(2)} to ${high.toFixed(2)})` : ''
    says.push(
      `That is ${value.toFixed(2)} times${range} the best setting of ${report.model} without batching, ${rate(baseline.capacity.value)}.`,
    )
  } else if (baseline?.id === candidate.id)
    says.push('It is the model as it is, without batching: nothing that was tried is better for certain.')
  const accuracy = report.variants.find(
    ({ variant, engine }) => variant === candidate.variant && engine === candidate.engine,
  )
  const difference = accuracy?.accuracy?.against?.difference
  if (difference !== undefined && accuracy?.base === false) {
    says.push(
      `Accuracy: ${percent(accuracy.accuracy?.top1?.value ?? 0)}, ${signed(difference.value)} points against ${report.model} (${signed(difference.low)} to ${signed(difference.high)}).`,
    )
  }
  if (accuracy?.caution !== undefined) says.push(`Careful: ${accuracy.caution}.`)
  const sure = baseline === undefined || gain === undefined || baseline.id === candidate.id || gain.ratio.low > 1
  if (!sure)
    says.push(
      'That it is better is not certain: the interval of the ratio holds 1. Measure again with more repeats, or on a quieter machine.',
    )
  const held = verified !== undefined && verified.runs.length > 0 && verified.kept === verified.runs.length
  if (verified !== undefined && verified.runs.length > 0) {
    const tails = verified.runs.map(({ p99Us }) => p99Us)
    const [least, most] = [worst(Math.min(...tails)), worst(Math.max(...tails))]
    says.push(
      `At ${rate(verified.rate)} it kept the contract in ${verified.kept} of ${counted(tails.length, 'run')}: p99 was ${least === most ? most : `${least} to ${most}`}.`,
    )
  }
  says.push(...why)
  return {
    tone: held && sure && capacity.low > 0 ? 'good' : 'warn',
    title: `Use ${settingText(candidate, report)}`,
    says,
  }
}

const worst = (us: number): string => (us >= 3_600e6 ? 'not answered' : time(us))
const signed = (share: number): string =>
  `${share > 0 ? '+' : share < 0 ? '−' : ''}${Math.abs(Number((100 * share).toFixed(2)))}`
