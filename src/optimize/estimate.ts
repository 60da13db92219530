import { centreOf } from '../profile/centre.js'
import { median } from '../profile/median.js'
import type { Estimate } from '../profile/report-types.js'
import { studentWithin } from '../profile/student.js'
import type { Gain } from './types.js'

const CONFIDENCE = 0.95

/** Capacities closer than that, a share, are not worth a less simple setting. */
export const EQUAL_WITHIN = 0.01
/** A gain of less than that is not called one, even where it is sure. */
const NOTHING = 0.05
/** From here on a gain is called much. */
const MUCH = 1.3

/** The centre of the repeats; of one, or where a repeat found no capacity, the value without an interval. */
export function capacityOf(each: readonly number[]): Estimate {
  if (each.length >= 2 && each.every((value) => value > 0)) return centreOf(each)
  const value = each.length === 0 ? 0 : median(each)
  return { value, low: Math.min(value, ...each), high: Math.max(value, ...each) }
}

/**
 * The ratio of two settings that were measured in turns, `to` over `from`: Student's t on the logarithms of the ratios of
 * each repeat, since what a repeat shares (the hour, the arrivals) then falls out. One repeat says nothing of its noise:
 * the interval is then open (0 to infinity).
 */
export function pairedCapacity(from: readonly number[], to: readonly number[]): Estimate {
  const count = Math.min(from.length, to.length)
  const logs = Array.from({ length: count }, (_, i) => Math.log((to[i] as number) / (from[i] as number)))
  if (count === 0 || !logs.every(Number.isFinite)) {
    const value = median(to) / median(from)
    return { value: Number.isFinite(value) ? value : 0, low: 0, high: Number.POSITIVE_INFINITY }
  }
  const mean = logs.reduce((sum, log) => sum + log, 0) / count
  if (count === 1) return { value: Math.exp(mean), low: 0, high: Number.POSITIVE_INFINITY }
  const variance = logs.reduce((sum, log) => sum + (log - mean) ** 2, 0) / (count - 1)
  const half = studentWithin(CONFIDENCE, count - 1) * Math.sqrt(variance / count)
  return { value: Math.exp(mean), low: Math.exp(mean - half), high: Math.exp(mean + half) }
}

/** What a ratio says. `nothing` is a finding: the whole interval lies within 5 % of 1. */
export function verdictOf({ value, low, high }: Estimate): Gain['verdict'] {
  if (low > 1 - NOTHING && high < 1 + NOTHING) return 'nothing'
  if (high < 1) return 'harms'
  if (low > 1) return value >= MUCH ? 'much' : value < 1 + NOTHING ? 'nothing' : 'some'
  return 'undecided'
}
