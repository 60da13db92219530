import { describe, expect, it } from 'vitest'
import { centreOf } from '../../../src/profile/centre.js'
import { compareReports } from '../../../src/profile/compare.js'
import { seededRandom } from '../../../src/profile/random.js'
import type { Estimate, ProfileReport } from '../../../src/profile/report-types.js'
import { profileReport, run } from '../report/sample-reports.js'
import { type Process, processes, WITHIN } from './processes.js'

const agree = (a: Estimate, b: Estimate): boolean => a.low <= b.high && b.low <= a.high
const seeds = Array.from({ length: 1000 }, (_, i) => i + 1)

describe('the centre of several processes', () => {
  it("of two is Student's interval on logarithms, worked out by hand", () => {
    // Logarithms ∓ln 2 about ln 200: mean ln 200, standard error ln 2, t of one degree of freedom 12.7062.
    const { value, low, high } = centreOf([100, 400])
    expect(value).toBe(250)
    expect(Math.log(low / 200) / Math.log(2)).toBeCloseTo(-12.7062, 3)
    expect(Math.log(high / 200) / Math.log(2)).toBeCloseTo(12.7062, 3)
  })

  it('of six reaches from the smallest to the largest, of eight from the fourth pair of either end', () => {
    expect(centreOf([104, 100, 101, 105, 103, 102])).toEqual({
      value: 102.5,
      low: expect.closeTo(100, 9),
      high: expect.closeTo(105, 9),
    })
    // In logarithms to base 2 the figures are 0 to 7: means 0, 0.5, 1, 1 and 7, 6.5, 6, 6.
    expect(centreOf([1, 2, 4, 8, 16, 32, 64, 128])).toEqual({
      value: 12,
      low: expect.closeTo(2, 9),
      high: expect.closeTo(64, 9),
    })
  })

  it('holds its own value where most processes are alike and many are slow', () => {
    const { value, low } = centreOf([...new Array(53).fill(100), ...new Array(47).fill(400)])
    expect(value).toBe(100)
    expect(low).toBe(100)
  })

  it('of twelve is hardly moved by one process that met a busy machine', () => {
    const { value, high } = centreOf([100, 101, 99, 100, 102, 98, 101, 100, 99, 100, 101, 5000])
    expect(value).toBe(100)
    expect(high).toBeLessThan(103)
  })

  it('takes two figures above 0', () => {
    expect(() => centreOf([100])).toThrow(RangeError)
    expect(() => centreOf([100, 0])).toThrow(RangeError)
  })
})

// Processes differ by twice as much as a process says of itself, which is what bench/load-generator.mjs found.
describe.each<[string, Process]>([
  ['processes that vary evenly', 'normal'],
  ['processes that come up fast or slow', 'two states'],
  ['processes of which some meet a busy machine', 'heavy tails'],
])('%s', (_name, kind) => {
  it.each([2, 5, 6, 8, 12])('two runs of %i of them agree in 95 of 100 cases', (count) => {
    const agreeing = seeds.filter((seed) => {
      const random = seededRandom(seed)
      return agree(centreOf(processes(kind, count, random)), centreOf(processes(kind, count, random)))
    })
    expect(agreeing.length).toBeGreaterThanOrEqual(950)
  })

  it('two runs of one process do not agree so often within the intervals that these know', () => {
    const agreeing = seeds.filter((seed) => {
      const [a = 0, b = 0] = processes(kind, 2, seededRandom(seed))
      const of = (value: number): Estimate => ({
        value,
        low: value * Math.exp(-1.96 * WITHIN),
        high: value * Math.exp(1.96 * WITHIN),
      })
      return agree(of(a), of(b))
    })
    expect(agreeing.length).toBeLessThan(900)
  })

  it('the interval of eight holds the centre in 95 of 100 cases', () => {
    const held = seeds.filter((seed) => {
      const { low, high } = centreOf(processes(kind, 8, seededRandom(seed)))
      // Of fast and slow processes in equal numbers the centre lies in the middle.
      return low <= 100 && 100 <= high
    })
    // 936 of 1000 would happen to a right interval of 95 % in one of forty.
    expect(held.length).toBeGreaterThanOrEqual(936)
  })

  it.each([5, 8])('a comparison of reports of %i finds no difference where there is none', (count) => {
    const report = (random: () => number): ProfileReport => {
      const each = processes(kind, count, random)
      const p50 = { what: 'p50, Poisson 2000/s', unit: 'µs', each, ...centreOf(each) }
      return profileReport({
        runs: [run({ points: 1 })],
        repeated: { processes: count, invalid: 0, valid: true, figures: [p50] },
      })
    }
    const real = seeds.filter((seed) => {
      const random = seededRandom(seed)
      const { differences } = compareReports(report(random), report(random))
      return differences.some(({ what, real }) => what === 'p50' && real)
    })
    // An interval of 99.9 % errs once in a thousand; five times happens to a right one in one of 270 runs.
    expect(real.length).toBeLessThan(5)
  })
})
