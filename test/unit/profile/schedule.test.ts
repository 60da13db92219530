import { describe, expect, it } from 'vitest'
import type { OpenLoad } from '../../../src/profile/load-plan.js'
import { scheduleOf } from '../../../src/profile/schedule.js'
import { exponential, gamma, kolmogorovSmirnov, ONE_IN_A_HUNDRED } from './distribution.js'

function times(load: OpenLoad, count: number, seconds = 10): number[] {
  const schedule = scheduleOf(load, seconds)
  return Array.from({ length: count }, () => schedule.next() / 1e9)
}

function gaps(load: OpenLoad, count: number): number[] {
  const at = times(load, count)
  return at.map((time, i) => time - (at[i - 1] ?? 0))
}

describe('a schedule', () => {
  it.each([1, 2, 3])('of Poisson arrivals has exponential gaps (seed %i)', (seed) => {
    const found = gaps({ kind: 'poisson', rate: 250, seed }, 20_000).map((gap) => gap * 250)
    expect(kolmogorovSmirnov(found, exponential)).toBeLessThan(ONE_IN_A_HUNDRED)
  })

  it('that is not of Poisson arrivals fails that test', () => {
    const found = gaps({ kind: 'gamma', rate: 250, cv: 1.2, seed: 1 }, 20_000).map((gap) => gap * 250)
    expect(kolmogorovSmirnov(found, exponential)).toBeGreaterThan(ONE_IN_A_HUNDRED)
  })

  it.each([0.5, 1, 2, 4])('of gamma gaps has the coefficient of variation %d and the distribution', (cv) => {
    const shape = 1 / cv ** 2
    const found = gaps({ kind: 'gamma', rate: 100, cv, seed: 7 }, 20_000)
    const scaled = found.map((gap) => gap * 100 * shape)
    expect(kolmogorovSmirnov(scaled, gamma(shape), 1e-9)).toBeLessThan(ONE_IN_A_HUNDRED)
    const mean = found.reduce((sum, gap) => sum + gap, 0) / found.length
    expect(Math.abs(mean * 100 - 1)).toBeLessThan((4 * cv) / Math.sqrt(found.length))
  })

  it('of a constant rate has equal gaps without the drift of a sum', () => {
    const at = times({ kind: 'constant', rate: 3, seed: 1 }, 300_001)
    expect(at[0]).toBe(0)
    expect(at[300_000]).toBe(100_000)
  })

  it.each([
    [100, 2000],
    [2000, 100],
  ])('of a ramp from %i to %i is a Poisson process in the time that its rate makes', (from, to) => {
    const slope = (to - from) / 10
    const at = times({ kind: 'ramp', from, to, seed: 5 }, 9000)
    expect(at.at(-1)).toBeLessThan(10)
    // The time-rescaling theorem: through the integral of its rate every Poisson process becomes that of rate 1.
    const passed = at.map((t) => from * t + (slope * t * t) / 2)
    const found = passed.map((value, i) => value - (passed[i - 1] ?? 0))
    expect(kolmogorovSmirnov(found, exponential)).toBeLessThan(ONE_IN_A_HUNDRED)
  })

  it('of a rate that falls to nothing ends', () => {
    const at = times({ kind: 'ramp', from: 100, to: 0, seed: 1 }, 2000, 1)
    expect(at.filter(Number.isFinite).length).toBeGreaterThan(20)
    expect(at.at(-1)).toBe(Number.POSITIVE_INFINITY)
  })

  it('is the same for the same seed, and another for another', () => {
    const load = { kind: 'gamma', rate: 10, cv: 2 } as const
    expect(times({ ...load, seed: 4 }, 50)).toEqual(times({ ...load, seed: 4 }, 50))
    expect(times({ ...load, seed: 4 }, 50)).not.toEqual(times({ ...load, seed: 5 }, 50))
  })

  it('of a trace has its times, and ends', () => {
    const schedule = scheduleOf({ kind: 'replay', file: 'f', requests: 2, speed: 1 }, 1, Float64Array.of(0, 5))
    expect([schedule.next(), schedule.next(), schedule.next()]).toEqual([0, 5, Number.POSITIVE_INFINITY])
  })
})
