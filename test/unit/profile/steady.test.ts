import { describe, expect, it } from 'vitest'
import { seededRandom } from '../../../src/profile/random.js'
import { bestCut, SteadyState } from '../../../src/profile/steady.js'

/** Means of windows until the rule says that they are steady. */
function windowsUntilSteady(mean: (i: number) => number, most = 1000): number {
  const state = new SteadyState()
  for (let i = 0; i < most; i++) if (state.observe(mean(i))) return i + 1
  return most
}

describe('the end of the warm-up', () => {
  it('comes soon where nothing warms up', () => {
    const random = seededRandom(1)
    expect(windowsUntilSteady(() => 100 + random())).toBeLessThan(80)
  })

  it('comes after what is slow at first', () => {
    const random = seededRandom(2)
    const settling = windowsUntilSteady((i) => 100 + random() + 900 * Math.exp(-i / 30))
    expect(settling).toBeGreaterThan(100)
    expect(settling).toBeLessThan(600)
  })

  it('never comes while latency only grows', () => {
    expect(windowsUntilSteady((i) => i * i, 500)).toBe(500)
  })

  it('is where MSER cuts: at the step of a series with one', () => {
    expect(bestCut([...Array(7).fill(50), ...Array(30).fill(10)])).toBe(7)
  })
})
