import type { EventCounts } from './types.js'

/** Arithmetic of error budgets: Site Reliability Workbook, chapter 5 ("Alerting on SLOs"), and SRE book, chapter 4. */

export const NO_EVENTS: EventCounts = { good: 0, total: 0, excluded: 0 }

export function plus(a: EventCounts, b: EventCounts): EventCounts {
  return { good: a.good + b.good, total: a.total + b.total, excluded: a.excluded + b.excluded }
}

/** Share of bad events, 0 where there are none. */
export function errorRatio({ good, total }: EventCounts): number {
  return total <= 0 ? 0 : Math.max(0, total - good) / total
}

/** How many times faster than allowed the budget is used up: 1 uses up exactly all of it in the objective's window. */
export function burnRate(counts: EventCounts, target: number): number {
  return errorRatio(counts) / (1 - target)
}

/**
 * Share of the error budget that is left of these events: 1 untouched, 0 used up, negative broken. The budget is
 * `(1 - target) * total` bad events.
 */
export function budgetLeft(counts: EventCounts, target: number): number {
  const left = 1 - burnRate(counts, target)
  // 1 - 0.9 is 0.09999999999999998: a budget that is used up exactly is no broken one.
  return Math.abs(left) < 1e-9 ? 0 : left
}
