import type { NativeAddon } from '../runtime/binding.js'
import type { BatchRecord, HostSeen, SlowRecord } from './timeline.js'

/** Numbers of a slow request, of a batch and of a mate (native/node/flight_calls.h); a test compares them. */
export const SLOW_NUMBERS = 18
export const BATCH_NUMBERS = 14
export const PREVIOUS = 8
export const MATES = 16
export const SLOW_STRIDE = SLOW_NUMBERS + (1 + PREVIOUS) * BATCH_NUMBERS + MATES * 2

const OUTCOMES = ['succeeded', 'failed', 'expired'] as const

/** The slow requests that native code has written down. */
export function decodeSlow(numbers: Float64Array): SlowRecord[] {
  const records: SlowRecord[] = []
  for (let at = 0; at + SLOW_STRIDE <= numbers.length; at += SLOW_STRIDE) {
    const n = (i: number): number => numbers[at + i] ?? 0
    const batches = at + SLOW_NUMBERS
    const mates = SLOW_NUMBERS + (1 + PREVIOUS) * BATCH_NUMBERS
    const batch = decodeBatch(numbers, batches)
    records.push({
      sequence: n(0),
      slot: n(1),
      generation: n(2),
      outcome: OUTCOMES[n(3)] ?? 'failed',
      loop: n(4),
      rows: n(5),
      submit: n(6),
      leader: n(7),
      dispatch: n(8),
      start: n(9),
      end: n(10),
      complete: n(11),
      drained: n(12),
      resolved: n(13),
      behindNs: n(14),
      behind: n(15),
      batch: batch.number === 0 ? undefined : batch,
      previous: Array.from({ length: n(16) }, (_, i) => decodeBatch(numbers, batches + (1 + i) * BATCH_NUMBERS)),
      mates: Array.from({ length: n(17) }, (_, i) => ({ slot: n(mates + 2 * i), generation: n(mates + 2 * i + 1) })),
    })
  }
  return records
}

function decodeBatch(numbers: Float64Array, at: number): BatchRecord {
  const n = (i: number): number => numbers[at + i] ?? 0
  return {
    number: n(0),
    dispatch: n(1),
    start: n(2),
    end: n(3),
    rows: n(4),
    requests: n(5),
    reason: n(6),
    instance: n(7),
    usualNs: n(8),
    measured: n(9),
    cpuNs: n(10),
    delayNs: n(11),
    majorFaults: n(12),
    preempted: n(13),
  }
}

/** What the watching thread has written down. */
export function decodeHost(seen: ReturnType<NativeAddon['hostWatch']>): Omit<HostSeen, 'pauses'> {
  return {
    late: rows(seen.late, 4, ([start = 0, end = 0, throttledUs = 0, delayNs = 0]) => ({
      start,
      end,
      throttledNs: throttledUs * 1000,
      delayNs,
    })),
    stalls: rows(seen.stalls, 5, ([loop = 0, turn = 0, start = 0, end = 0, delayNs = 0]) => ({
      loop,
      turn: turn !== 0,
      start,
      end,
      delayNs,
    })),
    samples: rows(seen.samples, 4, ([at = 0, throttledUs = 0]) => ({ at, throttledNs: throttledUs * 1000 })),
  }
}

function rows<T>(numbers: Float64Array, length: number, read: (row: Float64Array) => T): T[] {
  return Array.from({ length: Math.floor(numbers.length / length) }, (_, i) =>
    read(numbers.subarray(i * length, (i + 1) * length)),
  )
}
