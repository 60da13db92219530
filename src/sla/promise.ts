import { latencyInWords, spanInWords } from './duration.js'
import type { Indicator, Objective, Window } from './types.js'

/** An objective as a sentence without its end: `99 % of requests within 10 ms, measured at engine, over 28 days`. */
export function promiseOf(objective: Objective): string {
  const { indicator, target, window, slices } = objective
  const point = 'point' in indicator ? `, measured at ${indicator.point}` : ''
  const events = `${eventsOf(indicator)}${point}`
  if (slices === undefined) return `${percent(target)} of ${events}, ${windowInWords(window)}`
  const length = spanInWords(slices.ms)
  return slices.target === undefined
    ? `on average over slices of ${length} ${percent(target)} of ${events}, ${windowInWords(window)}`
    : `${percent(target)} of slices of ${length} with ${percent(slices.target)} of ${events}, ${windowInWords(window)}`
}

/** What is counted, and what makes it good: `requests within 10 ms`. */
export function eventsOf(indicator: Indicator): string {
  switch (indicator.kind) {
    case 'latency':
      return `requests within ${latencyInWords(indicator.thresholdUs)}`
    case 'availability':
      return 'requests answered without error'
    case 'goodput': {
      const { perSecond, thresholdUs } = indicator
      return `seconds with ${perSecond} or more answers within ${latencyInWords(thresholdUs)}, or all that were asked for`
    }
    case 'accuracy':
      return 'labelled answers right'
    case 'freshness':
      return `events scored within ${latencyInWords(indicator.thresholdUs)} of their time`
  }
}

/** A share as percent, without the noise of binary fractions: `99.95 %`. */
export function percent(share: number): string {
  return `${Number((share * 100).toPrecision(12))} %`
}

/** The same, cut off after `decimals` and not rounded: 99.996 % must not read as 100 %. */
export function percentCut(share: number, decimals: number): string {
  const whole = 10 ** decimals
  return `${Number((Math.floor(share * 100 * whole + 1e-6) / whole).toFixed(decimals))} %`
}

/** `over 28 days`, `in each month (Europe/Berlin)`. */
export function windowInWords(window: Window): string {
  if (window.kind === 'rolling') return `over ${spanInWords(window.ms)}`
  const { count, unit, timeZone } = window
  return `in each ${count === 1 ? unit : `${count} ${unit}s`} (${timeZone})`
}
