import { describe, expect, it } from 'vitest'
import { Check, type CheckOptions } from '../../../src/sla/check.js'
import type { EventCounts, Objective, ObjectiveStatus, SlaStatus } from '../../../src/sla/types.js'
import { objective } from './objectives.js'

const p99 = objective({ name: 'p99', target: 0.99 })
const right = objective({ name: 'right', target: 0.9, indicator: { kind: 'accuracy', model: 'digits' } })

type Told = Pick<ObjectiveStatus, 'objective'> & Partial<ObjectiveStatus>

const status = (...told: Told[]): SlaStatus => ({
  at: 0,
  since: 0,
  objectives: told.map((each) => ({ events: counts(0, 0), burn: {}, alerts: [], state: 'met', ...each })),
})
const counts = (good: number, total: number, excluded = 0): EventCounts => ({ good, total, excluded })
const of = (about: Objective, good: number, total: number): SlaStatus =>
  status({ objective: about, counted: counts(good, total, 3) })

function verdicts(first: SlaStatus, now: SlaStatus, passed = 1, options: CheckOptions = {}): string[] {
  return new Check(first, options).verdicts(now, passed).map(({ objective: name, verdict }) => `${name} ${verdict}`)
}

describe('a check', () => {
  it('judges the events of its own time alone', () => {
    // Half of all were bad before it began.
    const [verdict] = new Check(of(p99, 500, 1000)).verdicts(of(p99, 1499, 2000), 1)
    expect(verdict).toMatchObject({
      verdict: 'met',
      events: { good: 999, total: 1000, excluded: 0 },
      compliance: 0.999,
    })
  })

  it('is met by exactly the target, and broken by one bad event more', () => {
    expect(verdicts(of(p99, 0, 0), of(p99, 990, 1000))).toEqual(['p99 met'])
    expect(verdicts(of(p99, 0, 0), of(p99, 989, 1000))).toEqual(['p99 broken'])
  })

  it('waits until its time is up, unless the target is out of reach by then', () => {
    const judged = (passed: number, good: number, total: number): string[] =>
      verdicts(of(p99, 0, 0), of(p99, good, total), passed)
    expect(judged(0.1, 989, 1000)).toEqual(['p99 running'])
    expect(judged(0.1, 1000, 1000)).toEqual(['p99 running'])
    // A stall in the beginning may be made good: 100 bad of 1,000 now are 0.7 % of 14,500 in the end.
    expect(judged(0.1, 900, 1000)).toEqual(['p99 running'])
    // But not 200, nor 2 % all the time once 60 % of it are over.
    expect(judged(0.1, 800, 1000)).toEqual(['p99 broken'])
    expect(judged(0.5, 9800, 10_000)).toEqual(['p99 running'])
    expect(judged(0.62, 12_152, 12_400)).toEqual(['p99 broken'])
    // Few events prove nothing, however many of them were bad.
    expect(judged(0.9, 7, 9)).toEqual(['p99 running'])
  })

  it('says nothing of fewer events than allow one bad one, or than it was told', () => {
    expect(verdicts(of(p99, 0, 0), of(p99, 99, 99))).toEqual(['p99 too-few'])
    expect(verdicts(of(p99, 0, 0), of(p99, 100, 100))).toEqual(['p99 met'])
    expect(verdicts(of(p99, 0, 0), of(p99, 100, 100), 1, { minimumEvents: 101 })).toEqual(['p99 too-few'])
    expect(verdicts(of(p99, 0, 0), of(p99, 0, 0), 1, { minimumEvents: 1 })).toEqual(['p99 too-few'])
  })

  it('lists what is not measured, and what is asked for and is not there', () => {
    const told = status({ objective: right, notMeasured: 'nothing has been reported' }, { objective: p99 })
    expect(verdicts(told, told)).toEqual(['right not-measured', 'p99 too-few'])
    expect(verdicts(told, told, 1, { names: ['p99', 'none'] })).toEqual(['none not-measured', 'p99 too-few'])
  })

  it('judges by another contract, but only what the server counts', () => {
    const strict = { ...p99, target: 0.999 }
    const other = { ...right, indicator: { kind: 'accuracy', model: 'new' } } as Objective
    const elsewhere = objective({ name: 'elsewhere' })
    const first = status({ objective: p99, counted: counts(0, 0) }, { objective: right, counted: counts(0, 0) })
    const now = status({ objective: p99, counted: counts(1995, 2000) }, { objective: right, counted: counts(10, 10) })
    const options = { objectives: [strict, other, elsewhere] }
    expect(verdicts(first, now, 1, options)).toEqual(['p99 broken', 'right not-measured', 'elsewhere not-measured'])
  })

  it('takes a server that was started anew by what it has counted since', () => {
    expect(verdicts(of(p99, 5000, 5000), of(p99, 400, 400))).toEqual(['p99 met'])
  })
})
