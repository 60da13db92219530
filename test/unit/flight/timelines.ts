import type { BatchRecord, HostSeen, SlowRecord } from '../../../src/flight/timeline.js'

export const MS = 1e6

/** Nothing happened beside the work. */
export const QUIET: HostSeen = { late: [], stalls: [], samples: [], pauses: [] }

/** Batch 12 of one row, from 1 to 2 ms, which usually takes 1 ms. */
export function batchAt(fields: Partial<BatchRecord> = {}): BatchRecord {
  return {
    number: 12,
    dispatch: 1 * MS,
    start: 1 * MS,
    end: 2 * MS,
    rows: 1,
    requests: 1,
    reason: 4,
    instance: 0,
    usualNs: 1 * MS,
    measured: 0.5 * MS,
    cpuNs: 1 * MS,
    delayNs: 0,
    majorFaults: 0,
    preempted: 0,
    ...fields,
  }
}

/** A request from 0 to 2 ms: 1 ms until its batch was formed, 1 ms in the engine. Times are milliseconds. */
export function requestAt(
  times: Partial<
    Record<'submit' | 'leader' | 'dispatch' | 'start' | 'end' | 'complete' | 'drained' | 'resolved', number>
  >,
  fields: Partial<SlowRecord> = {},
): SlowRecord {
  const { submit = 0, leader = 1, dispatch = 1, start = dispatch, end = 2 } = times
  const { complete = end, drained = complete, resolved = drained } = times
  const batch = batchAt({ dispatch: dispatch * MS, start: start * MS, end: end * MS })
  return {
    sequence: 1,
    slot: 0,
    generation: 0,
    outcome: 'succeeded',
    loop: 1,
    rows: 1,
    submit: submit * MS,
    leader: leader * MS,
    dispatch: dispatch * MS,
    start: start * MS,
    end: end * MS,
    complete: complete * MS,
    drained: drained * MS,
    resolved: resolved * MS,
    behindNs: 0,
    behind: 0,
    batch,
    previous: [],
    mates: [],
    ...fields,
  }
}

/** The same with another batch. */
export function withBatch(record: SlowRecord, fields: Partial<BatchRecord>): SlowRecord {
  return { ...record, batch: { ...(record.batch as BatchRecord), ...fields } }
}
