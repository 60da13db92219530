import type { Estimate } from '../profile/report-types.js'
import { interval, percentPoints, pointsText, ratioText, timeText } from './numbers.js'
import type { Gain } from './types.js'

/** What two settings cost beside their capacity. */
export interface Costs {
  /** Median latency of a lone request, microseconds. */
  readonly aloneUs: number
  readonly cpuUs?: number
  readonly peakRssMb: number
}

export interface BatchingFigures {
  /** As `FP32` or `INT8`. */
  readonly precision: string
  readonly gain: Gain
  /** The best setting with batching, in words. */
  readonly setting: string
  readonly from: Costs
  readonly to: Costs
  /** Mean rows of a batch at the highest rate that kept the contract. */
  readonly meanBatch?: number
}

/** A difference of less is not worth a word, a share. */
const WORTH = 0.05

/** What batching buys and costs at one precision: its sentences follow from the ratio's interval and the costs alone. */
export function batchingSentences({ precision, gain, setting, from, to, meanBatch }: BatchingFigures): string[] {
  const by = `${ratioText(gain.ratio.value)} ${interval(gain.ratio, ratioText)}`
  const rows = meanBatch === undefined ? '' : ` (${meanBatch.toFixed(1)} rows a batch on average at that rate)`
  const costs = costSentence(from, to)
  switch (gain.verdict) {
    case 'much':
      return [`At ${precision}, batching multiplies the capacity by ${by}: ${setting}${rows}.`, costs]
    case 'some':
      return [`At ${precision}, batching buys a little: ${by}, with ${setting}${rows}.`, costs]
    case 'nothing':
      return [
        `At ${precision}, batching buys almost nothing: ${by} with its best setting, ${setting}${rows}. One run of this model keeps the processor busy by itself, so rows that run together take nearly as long as one after the other.`,
        costs,
      ]
    case 'harms':
      return [
        `At ${precision}, batching harms: its best setting, ${setting}, has ${by} the capacity. Requests share the time of larger batches, and what that saves does not make up for it within the limit.`,
      ]
    default:
      return [
        `At ${precision}, whether batching buys anything is undecided: ${by} with ${setting}. More repeats (--repeats) or longer ones (--seconds) would tell.`,
      ]
  }
}

function costSentence(from: Costs, to: Costs): string {
  const parts: string[] = []
  if (apart(from.aloneUs, to.aloneUs)) {
    parts.push(`a lone request takes ${timeText(to.aloneUs)} instead of ${timeText(from.aloneUs)}`)
  }
  if (from.cpuUs !== undefined && to.cpuUs !== undefined && apart(from.cpuUs, to.cpuUs)) {
    parts.push(`a request takes ${timeText(to.cpuUs)} of processor time instead of ${timeText(from.cpuUs)}`)
  }
  if (apart(from.peakRssMb, to.peakRssMb))
    parts.push(`peak memory is ${to.peakRssMb} MB instead of ${from.peakRssMb} MB`)
  if (parts.length === 0) return 'A lone request, processor time and memory stay as they are, within 5 %.'
  const text = parts.join('; ')
  return `With it ${text}.`
}

const apart = (a: number, b: number): boolean => Math.abs(a - b) > WORTH * Math.max(a, b)

export interface QuantisationFigures {
  readonly variant: string
  readonly precision: string
  /** Without batching, and with the best of it on both sides; absent where a side has no setting that keeps the contract. */
  readonly plain?: Gain
  readonly batched?: Gain
  /** top-1 of the variant minus that of the model, a share. */
  readonly difference?: Estimate
  readonly rows?: number
  readonly refused?: string
  readonly caution?: string
  readonly bytes: { readonly from: number; readonly to: number }
}

/** What quantisation buys and costs. */
export function quantisationSentences(figures: QuantisationFigures): string[] {
  const { variant, precision, plain, batched, difference, rows, refused, caution, bytes } = figures
  const sentences: string[] = []
  const gain = plain ?? batched
  if (gain !== undefined) {
    const by = `${ratioText(gain.ratio.value)} ${interval(gain.ratio, ratioText)}`
    const where = plain === undefined ? 'with batching' : 'without batching'
    const also =
      plain !== undefined && batched !== undefined
        ? `, and ${ratioText(batched.ratio.value)} ${interval(batched.ratio, ratioText)} with the best batching on both sides`
        : ''
    const buys = {
      much: `multiplies the capacity by ${by} ${where}${also}`,
      some: `buys a little: ${by} ${where}${also}`,
      nothing: `buys nothing in capacity: ${by} ${where}${also}`,
      harms: `is slower: ${by} ${where}${also}`,
      undecided: `may or may not be faster: ${by} ${where}${also}`,
    }[gain.verdict]
    sentences.push(`${precision} (${variant}) ${buys}.`)
  }
  // One that accuracy refuses says its figures in the refusal.
  if (difference !== undefined && !(refused !== undefined && gain === undefined)) {
    const size = bytes.from > 0 && bytes.to > 0 ? `; its file is ${ratioText(bytes.to / bytes.from)} as large` : ''
    const range = interval(difference, percentPoints)
    const change =
      difference.high < 0
        ? `In accuracy it costs ${pointsText(difference.value)} of top-1 ${range}`
        : difference.low > 0
          ? `In accuracy it even gains ${pointsText(difference.value)} of top-1 ${range}`
          : `No change of its accuracy can be told from zero: ${percentPoints(difference.value)} of top-1 ${range}`
    sentences.push(`${change} on ${rows ?? 0} held-out rows${size}.`)
  }
  if (refused !== undefined) sentences.push(`${variant} is refused: ${refused}.`)
  else if (caution !== undefined) sentences.push(`Careful: ${caution}.`)
  return sentences
}

export interface FirstFigures {
  /** At the model's own precision. */
  readonly batching?: Gain
  /** Of the best variant that may be recommended, without batching. */
  readonly quantisation?: { readonly precision: string; readonly gain: Gain; readonly difference?: Estimate }
  /** Both together over neither. */
  readonly both?: Gain
}

const BUYS: ReadonlySet<Gain['verdict']> = new Set(['much', 'some'])

/** Which of the two to take first, and why. */
export function firstSentences({ batching, quantisation, both }: FirstFigures): string[] {
  if (batching === undefined && quantisation === undefined) return []
  if (quantisation === undefined) {
    if (batching !== undefined && BUYS.has(batching.verdict)) {
      return ['Take batching: it changes no answer, and there is no quantised variant that may be taken.']
    }
    return [
      'Neither is worth taking here: there is no quantised variant that may be taken, and batching does not pay for certain.',
    ]
  }
  const { precision, gain, difference } = quantisation
  const quantBuys = BUYS.has(gain.verdict)
  const batchBuys = batching !== undefined && BUYS.has(batching.verdict)
  const cost = costText(difference)
  const together =
    both === undefined ? '' : ` Both together give ${ratioText(both.ratio.value)} ${interval(both.ratio, ratioText)}.`
  if (quantBuys && batchBuys && batching !== undefined) {
    if (batching.ratio.value >= gain.ratio.value) {
      return [
        `Take batching first: it gives more (${ratioText(batching.ratio.value)} against ${ratioText(gain.ratio.value)}) and changes no answer. ${precision} comes second, since ${cost}.${together}`,
      ]
    }
    return [
      `Take ${precision} first: it gives ${ratioText(gain.ratio.value)}, where batching gives ${ratioText(batching.ratio.value)}; ${cost}. Batching comes on top and changes no answer.${together}`,
    ]
  }
  if (quantBuys) {
    const no = batching === undefined ? 'batching was not measured' : BATCHING_NOT[batching.verdict]
    return [`Take ${precision} first: it gives ${ratioText(gain.ratio.value)}, and ${no}; ${cost}.${together}`]
  }
  if (batchBuys) {
    return [
      `Take batching and leave ${precision}: batching changes no answer and pays, ${precision} does not for certain.${together}`,
    ]
  }
  if (gain.verdict === 'undecided' || batching?.verdict === 'undecided') {
    return [
      `Whether either pays is not certain from these figures; more repeats (--repeats), or a quieter machine, would tell.${together}`,
    ]
  }
  return [`Neither pays on this machine: the model as it is, without batching, is the simplest.${together}`]
}

function costText(difference: Estimate | undefined): string {
  if (difference === undefined) return 'it changes answers'
  if (difference.high < 0) return `it costs ${pointsText(difference.value)} of top-1`
  return 'no loss of accuracy can be told from zero'
}

const BATCHING_NOT: Readonly<Record<Gain['verdict'], string>> = {
  much: '',
  some: '',
  nothing: 'batching gives almost nothing',
  harms: 'batching harms',
  undecided: 'whether batching gives anything is undecided',
}
