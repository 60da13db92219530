import { describe, expect, it } from 'vitest'
import { seededRandom } from '../../../src/profile/random.js'
import { findRate, parseGoal, parseTime, type Trial } from '../../../src/profile/search.js'

/** A queue whose p99 grows without end towards its capacity. */
const queue = (capacity: number) => (rate: number) => (rate >= capacity ? 1e9 : 1000 / (1 - rate / capacity))

function search(trial: (rate: number, number: number, repeat: number) => Trial, more = {}) {
  return findRate({
    percentile: 'p99',
    limitUs: 10_000,
    trial: async (rate, number, repeat) => trial(rate, number, repeat),
    ...more,
  })
}

describe('the search for the highest rate', () => {
  // 1000 / (1 - rate / capacity) is 10,000 at nine tenths of the capacity.
  it.each([3, 40, 1000, 250_000])('finds it within its tolerance, whatever it is (%i/s)', async (capacity) => {
    const found = await search((rate) => ({ us: queue(capacity)(rate) }))
    expect(found.rate).toBeLessThanOrEqual(0.9 * capacity)
    expect(found.rate).toBeGreaterThan((0.9 * capacity) / 1.06)
    expect(found.steps.length).toBeLessThan(50)
  })

  it('is repeated, and says how far the repeats lie apart', async () => {
    const random = seededRandom(1)
    const found = await search((rate) => ({ us: queue(1000)(rate) * (0.7 + 0.6 * random()) }), { repeats: 5 })
    expect(found.low).toBeLessThan(found.high)
    expect(found.rate).toBeGreaterThanOrEqual(found.low)
    expect(found.rate).toBeLessThanOrEqual(found.high)
    expect(new Set(found.steps.map((step) => step.repeat))).toEqual(new Set([1, 2, 3, 4, 5]))
  })

  it('tells a run that did not keep its schedule from one that missed the limit', async () => {
    const found = await search((rate) => ({ us: 500, ...(rate > 640 ? { invalid: 'the schedule was not kept' } : {}) }))
    expect(found.rate).toBeGreaterThan(600)
    expect(found.rate).toBeLessThanOrEqual(640)
    const late = found.steps.filter((step) => step.rate > 640)
    expect(late.every((step) => !step.ok && step.us < 10_000 && step.why === 'the schedule was not kept')).toBe(true)
  })

  it('makes a run that says nothing once more', async () => {
    let calls = 0
    const found = await search((rate) => {
      calls++
      return calls === 1 ? { us: 1e9, invalid: 'busy' } : { us: queue(1000)(rate) }
    })
    expect(found.rate).toBeGreaterThan(800)
    expect(found.steps.some((step) => step.why !== undefined)).toBe(false)
  })

  it('gives up where the generator keeps its schedule at no rate', async () => {
    const found = await search(() => ({ us: 1, invalid: 'the schedule was not kept' }), { repeats: 1 })
    expect(found.rate).toBe(0)
    expect(found.steps.map((step) => step.rate)).toEqual([100, 50, 25, 12.5])
  })

  it('is 0 where no rate keeps the limit, and no more than is allowed', async () => {
    expect((await search(() => ({ us: 20_000 }))).rate).toBe(0)
    expect((await search(() => ({ us: 1 }), { most: 300 })).rate).toBe(300)
  })

  it('does not look where one request after another misses the limit', async () => {
    const found = await search(() => ({ us: 1 }), { alone: async () => ({ us: 20_000 }) })
    expect(found).toMatchObject({ rate: 0, steps: [] })
    expect(
      (await search((rate) => ({ us: queue(100)(rate) }), { alone: async () => ({ us: 900 }) })).rate,
    ).toBeGreaterThan(80)
  })

  it('gives each run another number, for its seed', async () => {
    const numbers: number[] = []
    await search((rate, number) => {
      numbers.push(number)
      return { us: queue(1000)(rate) }
    })
    expect(new Set(numbers).size).toBe(numbers.length)
  })
})

describe('a goal', () => {
  it('is a percentile and a time', () => {
    expect(parseGoal('p99=10ms')).toEqual({ percentile: 'p99', share: 0.99, limitUs: 10_000 })
    expect(parseGoal('p999=250us')).toEqual({ percentile: 'p999', share: 0.999, limitUs: 250 })
    expect(parseGoal('p50=1.5s')?.limitUs).toBe(1_500_000)
    for (const wrong of ['p99', '99=10ms', 'p99=10', 'p99=0ms', 'p=10ms', 'p0=1ms']) {
      expect(parseGoal(wrong)).toBeUndefined()
    }
    expect(parseTime('1 ms')).toBe(1000)
  })
})
