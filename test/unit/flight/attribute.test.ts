import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { attribute } from '../../../src/flight/attribute.js'
import type { HostSeen, SlowRecord } from '../../../src/flight/timeline.js'
import type { CauseKind } from '../../../src/flight/types.js'
import { batchAt, MS, QUIET, requestAt, withBatch } from './timelines.js'

const SETTINGS = { delays: false, cpus: 2 }

/** Milliseconds of each cause, to a tenth. */
function shares(
  record: SlowRecord,
  host: Partial<HostSeen> = {},
  settings = SETTINGS,
): Partial<Record<CauseKind, number>> {
  const causes = attribute(record, { ...QUIET, ...host }, settings)
  return Object.fromEntries(causes.map(({ kind, ms }) => [kind, Math.round(ms * 10) / 10]))
}

function detail(kind: CauseKind, record: SlowRecord, host: Partial<HostSeen> = {}): string | undefined {
  return attribute(record, { ...QUIET, ...host }, SETTINGS).find((cause) => cause.kind === kind)?.detail
}

describe('a result that waits for the thread of the caller', () => {
  const late = requestAt({ leader: 0.1, dispatch: 0.1, end: 1.1, drained: 21.1 })

  it('is charged to the garbage collector for its pause', () => {
    const pauses = [{ start: 0.5 * MS, end: 18.1 * MS, kind: 'mark-sweep' }]
    expect(shares(late, { pauses })).toEqual({ gc: 17, unexplained: 3.1, compute: 1 })
    expect(detail('gc', late, { pauses })).toBe('garbage collection (mark-sweep)')
  })

  it('is charged to the event loop for what else its turn did', () => {
    const pauses = [{ start: 2.1 * MS, end: 7.1 * MS, kind: 'scavenge' }]
    const stalls = [{ loop: 1, turn: true, start: 0.2 * MS, end: 21 * MS, delayNs: 0 }]
    expect(shares(late, { pauses, stalls })).toEqual({ 'event-loop': 15, gc: 5, compute: 1, unexplained: 0.1 })
  })

  it('is charged to others for the time in which that thread had no CPU', () => {
    const stalls = [{ loop: 1, turn: true, start: 1.1 * MS, end: 21.1 * MS, delayNs: 15 * MS }]
    expect(shares(late, { stalls })).toMatchObject({ 'cpu-contention': 15, 'event-loop': 5 })
  })

  it('is not charged to the event loop of another thread', () => {
    const stalls = [{ loop: 2, turn: true, start: 0, end: 30 * MS, delayNs: 0 }]
    expect(shares(late, { stalls })).toEqual({ unexplained: 20.1, compute: 1 })
    expect(detail('unexplained', late, { stalls })).toBe('unexplained (wake)')
  })
})

describe('a request that waits to be dispatched', () => {
  const waits = requestAt({ leader: 9, dispatch: 10, end: 11 })

  it('waits for the batch before it, which is named with why it went', () => {
    const previous = [batchAt({ number: 812, reason: 3, dispatch: -1 * MS, start: 0, end: 9.5 * MS, usualNs: 9 * MS })]
    const record = { ...waits, previous, behind: 1, behindNs: 9.5 * MS }
    expect(shares(record)).toEqual({ queue: 10, compute: 1 })
    expect(detail('queue', record)).toBe('behind batch 812 (waited for deadline)')
  })

  it('says when the batch before it was the slow one', () => {
    const previous = [batchAt({ number: 8, dispatch: 0, start: 0, end: 9.5 * MS, usualNs: 1 * MS })]
    const record = { ...waits, previous, behind: 3, behindNs: 9.5 * MS }
    expect(detail('queue', record)).toBe('behind batch 8 (went at once, 9.5 ms instead of 1.0) and 2 more')
  })

  it('waits for company where the model has a batching delay and the batch used it', () => {
    const delayed = withBatch(waits, { reason: 2 })
    expect(shares(delayed, {}, { delays: true, cpus: 2 })).toEqual({ 'batching-delay': 10, compute: 1 })
    expect(shares(delayed)).toEqual({ unexplained: 10, compute: 1 })
  })

  it('waits for a CPU that others have, as the thread of its instance does', () => {
    const record = withBatch(waits, { delayNs: 9.8 * MS, measured: 0 + 1 })
    expect(shares(record)).toEqual({ 'cpu-contention': 9.8, compute: 1, unexplained: 0.2 })
  })

  it('waits for the collector where its threads had the CPU', () => {
    const record = withBatch(waits, { delayNs: 9 * MS })
    const pauses = [{ start: 1 * MS, end: 7 * MS, kind: 'mark-sweep' }]
    expect(shares(record, { pauses })).toMatchObject({ gc: 6, 'cpu-contention': 3 })
  })
})

describe('a run that takes longer than it usually does', () => {
  const run = requestAt({ leader: 0, dispatch: 0, end: 21 })

  it('is a slow run where its thread computed all the time', () => {
    const record = withBatch(run, { number: 5, rows: 4, cpuNs: 21 * MS })
    expect(shares(record)).toEqual({ 'slow-batch': 20, compute: 1 })
    expect(detail('slow-batch', record)).toBe('slow run of batch 5 (4 rows, usually 1.0 ms)')
  })

  it('is no slow run within a fifth of what it usually takes', () => {
    expect(shares(withBatch(run, { usualNs: 18 * MS }))).toEqual({ compute: 21 })
  })

  it('is what it is where no other run of its size is known', () => {
    expect(shares(withBatch(run, { usualNs: 0 }))).toEqual({ compute: 21 })
  })

  it('is contention for as long as its thread waited for a CPU', () => {
    expect(shares(withBatch(run, { cpuNs: 5 * MS, delayNs: 16 * MS }))).toEqual({
      'cpu-contention': 16,
      'slow-batch': 4,
      compute: 1,
    })
  })

  it('is throttling where the throttled time of the cgroup grew while it waited', () => {
    const samples = [
      { at: -50 * MS, throttledNs: 0 },
      { at: 60 * MS, throttledNs: 16 * MS },
    ]
    const record = withBatch(run, { cpuNs: 5 * MS, delayNs: 16 * MS })
    expect(shares(record, { samples })).toEqual({ throttled: 16, 'slow-batch': 4, compute: 1 })
    // A kernel that takes throttled threads off the run queue.
    expect(shares(withBatch(run, { cpuNs: 5 * MS }), { samples })).toMatchObject({ throttled: 16 })
  })

  it('is page faults where it had some and hardly computed', () => {
    expect(shares(withBatch(run, { cpuNs: 2 * MS, majorFaults: 3 }))).toEqual({ 'page-faults': 20, compute: 1 })
    expect(shares(withBatch(run, { cpuNs: 20 * MS, majorFaults: 3 }))).toMatchObject({ 'slow-batch': 20 })
  })

  it('is the host where a sleeping thread woke late as well though nobody had its CPU', () => {
    const late = [{ start: 2 * MS, end: 17 * MS, throttledNs: 0, delayNs: 0 }]
    expect(shares(withBatch(run, { cpuNs: 6 * MS }), { late })).toEqual({ host: 15, 'slow-batch': 5, compute: 1 })
  })
})

it('a quota that runs out stops every stage, and comes before what else would explain it', () => {
  const record = requestAt({ leader: 1, dispatch: 1, end: 40, drained: 60 })
  const late = [{ start: 5 * MS, end: 58 * MS, throttledNs: 53 * MS, delayNs: 53 * MS }]
  const stalls = [{ loop: 1, turn: true, start: 30 * MS, end: 60 * MS, delayNs: 20 * MS }]
  expect(attribute(record, { ...QUIET, late, stalls }, SETTINGS)[0]).toMatchObject({ kind: 'throttled', ms: 53 })
})

it('a request that expired in the queue has waited behind what still runs', () => {
  const previous = [batchAt({ number: 3, rows: 0, usualNs: 0, dispatch: 0, start: 0, end: 8 * MS })]
  const expired: SlowRecord = {
    ...requestAt({ leader: 0, dispatch: 8, start: 8, end: 8 }),
    outcome: 'expired',
    batch: undefined,
    previous,
    behind: 1,
    behindNs: 8 * MS,
  }
  expect(shares(expired)).toEqual({ queue: 8 })
  expect(detail('queue', expired)).toBe('behind batch 3 (still running)')
})

it('causes add up to the whole, whatever was seen', () => {
  const time = fc.integer({ min: -20, max: 120 })
  const span = fc.tuple(time, fc.integer({ min: 0, max: 60 })).map(([start, length]) => ({
    start: start * MS,
    end: (start + length) * MS,
  }))
  const amount = fc.integer({ min: 0, max: 80 }).map((ms) => ms * MS)
  const steps = fc.array(fc.integer({ min: 0, max: 30 }), { minLength: 7, maxLength: 7 })
  const seen = fc.record({
    late: fc.array(fc.tuple(span, amount, amount).map(([s, throttledNs, delayNs]) => ({ ...s, throttledNs, delayNs }))),
    stalls: fc.array(
      fc.tuple(span, amount, fc.boolean()).map(([s, delayNs, turn]) => ({ ...s, delayNs, turn, loop: 1 })),
    ),
    samples: fc.array(fc.tuple(time, amount).map(([at, throttledNs]) => ({ at: at * MS, throttledNs }))),
    pauses: fc.array(span.map((s) => ({ ...s, kind: 'scavenge' }))),
  })
  const batch = fc.record({
    usualNs: amount,
    delayNs: amount,
    cpuNs: amount,
    majorFaults: fc.nat(2),
    reason: fc.nat(4),
  })
  const before = fc.record({ spans: fc.array(span, { maxLength: 3 }), behindNs: amount })
  fc.assert(
    fc.property(steps, seen, batch, before, fc.boolean(), (lengths, host, fields, { spans, behindNs }, delays) => {
      let at = 0
      const [leader, dispatch, start, end, complete, drained, resolved] = lengths.map((length) => (at += length))
      const times = { leader, dispatch, start, end, complete, drained, resolved } as Record<string, number>
      const previous = spans.map(({ start, end }, i) => batchAt({ number: i + 1, dispatch: start, start, end }))
      const record = withBatch({ ...requestAt(times), previous, behind: previous.length, behindNs }, fields)
      const causes = attribute(record, host, { delays, cpus: 1 })
      expect(causes.reduce((sum, { ms }) => sum + ms, 0)).toBeCloseTo(at, 6)
      for (const { ms } of causes) expect(ms).toBeGreaterThan(0)
      expect(causes.map(({ ms }) => ms)).toEqual(causes.map(({ ms }) => ms).sort((a, b) => b - a))
    }),
    { numRuns: 300, seed: 7 },
  )
})
