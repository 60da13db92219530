import { expect, it } from 'vitest'
import { budgetLeft, burnRate, errorRatio } from '../../../src/sla/budget.js'
import { DAY, HOUR } from './objectives.js'

it('burns as the workbook works it out: at 99.9 %, an error ratio of 1.44 % is a burn rate of 14.4', () => {
  expect(burnRate({ good: 985_600, total: 1_000_000, excluded: 0 }, 0.999)).toBeCloseTo(14.4, 9)
})

it.each([
  // Table 5-8: severity, long window, burn rate, part of the budget of 30 days that is gone when the alert fires.
  ['page', HOUR, 14.4, 0.02],
  ['page', 6 * HOUR, 6, 0.05],
  ['ticket', 3 * DAY, 1, 0.1],
])('a %s over %i ms at %d uses up %d of a budget of 30 days', (_severity, longMs, rate, part) => {
  // As many requests an hour all month; in the long window they fail at exactly that rate, elsewhere never.
  const perHour = 1_000_000
  const hours = longMs / HOUR
  const bad = perHour * hours * rate * 0.001
  const month = { good: perHour * 720 - bad, total: perHour * 720, excluded: 0 }
  expect(1 - budgetLeft(month, 0.999)).toBeCloseTo(part, 9)
})

it.each([
  // Table 5-5 of the workbook: burn rate, error rate for a 99.9 % SLO, time until the budget of 30 days is gone.
  [1, 0.001, 30 * DAY],
  [2, 0.002, 15 * DAY],
  [10, 0.01, 3 * DAY],
  [1000, 1, 43.2 * 60_000],
])('at burn rate %d (error ratio %d) the budget of 30 days is gone after %d ms', (rate, ratio, ms) => {
  const counts = { good: 1e6 * (1 - ratio), total: 1e6, excluded: 0 }
  expect(errorRatio(counts)).toBeCloseTo(ratio, 9)
  expect(burnRate(counts, 0.999)).toBeCloseTo(rate, 6)
  expect((30 * DAY) / burnRate(counts, 0.999)).toBeCloseTo(ms, -1)
})

it('a budget that is used up exactly is 0, not a hair below, whatever the target', () => {
  for (const target of [0.9, 0.95, 0.99, 0.995, 0.999, 0.9999]) {
    const total = 1_000_000
    const allowed = Math.round(total * (1 - target))
    expect(budgetLeft({ good: total - allowed, total, excluded: 0 }, target)).toBe(0)
    expect(budgetLeft({ good: total - allowed - 1, total, excluded: 0 }, target)).toBeLessThan(0)
    expect(budgetLeft({ good: total - allowed + 1, total, excluded: 0 }, target)).toBeGreaterThan(0)
  }
})

it('no events burn nothing, and excluded ones are no events', () => {
  expect(burnRate({ good: 0, total: 0, excluded: 500 }, 0.99)).toBe(0)
  expect(budgetLeft({ good: 0, total: 0, excluded: 500 }, 0.99)).toBe(1)
})
