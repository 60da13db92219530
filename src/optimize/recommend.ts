import type { Estimate } from '../profile/report-types.js'
import { candidateText, simplerFirst } from './candidate.js'
import { capacityOf, EQUAL_WITHIN, pairedCapacity, verdictOf } from './estimate.js'
import type { Halved } from './halving.js'
import { interval, percentPoints, pointsText, rateText, ratioText } from './numbers.js'
import type { AccuracyFigures, Gain, Recommendation } from './types.js'

/** What accuracy allows. `drop` in points (hundredths of top-1). */
export interface AccuracyJudgement {
  readonly refused?: string
  readonly caution?: string
}

/**
 * Whether a variant may be recommended. The measured loss decides, and the interval says how sure that is: a variant is
 * refused where more is lost than `drop`; one that lost less is accepted, with a caution where the interval reaches
 * beyond. Without labels, top-1 cannot fall by more than the share of rows whose top class changed.
 */
export function judgeAccuracy(accuracy: AccuracyFigures | undefined, drop: number): AccuracyJudgement {
  const paired = accuracy?.against
  if (accuracy === undefined || paired === undefined) {
    return { refused: 'its accuracy was not measured: give held-out data with --data' }
  }
  const { difference, agreement, outputs } = paired
  const floor = -drop / 100
  if (difference !== undefined) {
    const says = `top-1 changes by ${percentPoints(difference.value)} ${interval(difference, percentPoints)} against ${paired.model} on ${accuracy.rows} rows`
    if (difference.high < floor)
      return { refused: `${says}: surely more than the ${pointsText(drop / 100)} that may be lost` }
    if (difference.value < floor) {
      return {
        refused: `${says}: more than the ${pointsText(drop / 100)} that may be lost; more rows would make it sure`,
      }
    }
    if (difference.low < floor) return { caution: `${says}: within the floor, but not surely; more rows would tell` }
    return {}
  }
  if (agreement !== undefined) {
    const changed = { value: 1 - agreement.value, low: 1 - agreement.high, high: 1 - agreement.low }
    const says = `the data have no labels; ${percentOf(changed.value)} ${interval(changed, percentOf)} of the rows have another top class than with ${paired.model}`
    if (changed.value > drop / 100)
      return { refused: `${says}: as much accuracy may be lost, and the floor is ${pointsText(drop / 100)}` }
    return { caution: says }
  }
  return {
    refused: `its outputs are no scores of classes and there is no accuracy to hold: they are ${outputs.maxAbs.toPrecision(3)} apart at most, ${outputs.meanAbs.toPrecision(3)} on average (cosine ${outputs.cosine.toFixed(5)}); choose it yourself where that will do`,
  }
}

const percentOf = (share: number): string => `${Number((100 * share).toFixed(2))} %`

/** What the finalists say: which is best for the contract, and why. */
export interface Choice {
  readonly best?: Halved
  readonly recommendation?: Recommendation
}

/**
 * The finalist with the highest capacity, or a simpler one that cannot be told from it: measured within 1 %, and the interval of
 * the paired ratio holds 1.
 *
 * @param refused variants (`name engine`) that may not be recommended
 */
export function choose(finalists: readonly Halved[], base: string, refused: (one: Halved) => boolean): Choice {
  const able = finalists.filter((one) => !refused(one) && capacityOf(one.each).value > 0)
  const [highest] = [...able].sort((a, b) => capacityOf(b.each).value - capacityOf(a.each).value)
  if (highest === undefined) return {}
  const alike = able.filter((one) => one === highest || isEqual(one, highest))
  alike.sort((a, b) => simplerFirst(base)(a.candidate, b.candidate))
  const best = alike[0] as Halved
  const capacity = capacityOf(best.each)
  const why: string[] = []
  if (best === highest && alike.length === 1) {
    why.push(
      `No other finalist comes within ${100 * EQUAL_WITHIN} % of its ${rateText(capacity.value)} ${interval(capacity, rateText)}.`,
    )
  } else if (best === highest) {
    why.push(
      `It has the highest capacity, ${rateText(capacity.value)} ${interval(capacity, rateText)}, and is the simplest of ${alike.length} that cannot be told apart.`,
    )
  } else {
    const ratio = pairedCapacity(best.each, highest.each)
    why.push(
      `${candidateText(highest.candidate)} was measured ${ratioText(ratio.value)} as high (${interval(ratio, ratioText)}): the two cannot be told apart, and this one is simpler.`,
    )
  }
  return {
    best,
    recommendation: {
      candidate: best.candidate,
      capacity,
      equals: alike.filter((one) => one !== best).map((one) => one.candidate.id),
      why,
    },
  }
}

function isEqual(one: Halved, highest: Halved): boolean {
  const ratio = pairedCapacity(one.each, highest.each)
  return ratio.value <= 1 + EQUAL_WITHIN && ratio.low <= 1
}

/** The finalist with the highest capacity among those that `suits` takes. */
export function bestOf(finalists: readonly Halved[], suits: (one: Halved) => boolean): Halved | undefined {
  const [best] = finalists
    .filter((one) => suits(one) && capacityOf(one.each).value > 0)
    .sort((a, b) => capacityOf(b.each).value - capacityOf(a.each).value)
  return best
}

/** The ratio of two finalists, and what it says. */
export function gainOf(from: Halved, to: Halved): Gain {
  const ratio: Estimate = pairedCapacity(from.each, to.each)
  return { from: from.candidate.id, to: to.candidate.id, ratio, verdict: verdictOf(ratio) }
}

/** Why a variant that accuracy allows is not worth having; undefined where it may be. */
export function slowerThanBase(variant: Halved | undefined, base: Halved | undefined): string | undefined {
  if (variant === undefined) return 'no setting of it keeps the contract'
  if (base === undefined) return undefined
  const ratio = pairedCapacity(base.each, variant.each)
  if (ratio.value >= 1) return undefined
  const sure = ratio.high < 1 ? 'it is slower here' : 'it is not faster here'
  return `${sure}: its best setting has ${ratioText(ratio.value)} the capacity ${interval(ratio, ratioText)} of the best one of ${base.candidate.variant}`
}
