import type { BatchReason } from './types.js'

/** Bytes of a record header, of an output record and of a staged input; longest shape (native/executor/record.h). */
export const HEADER_BYTES = 88
export const OUTPUT_BYTES = 88
export const STAGED_BYTES = 88
export const MAX_RANK = 8

/** Offsets in a record, in 32-bit words. A test compares them with the native structs. */
export const WORD = { slot: 0, generation: 1, kind: 2, status: 3, reason: 4, batchRows: 5, rows: 6 } as const
/** Offsets in a record, in doubles. */
export const DOUBLE = {
  submitNs: 4,
  leaderNs: 5,
  dispatchNs: 6,
  startNs: 7,
  endNs: 8,
  completeNs: 9,
  batch: 10,
} as const
/** Offsets in an output record: doubles, except rank and source, which are words. */
export const OUTPUT = { offset: 0, bytes: 1, rankWord: 4, sourceWord: 5, shape: 3 } as const

export const KIND = { partial: 0, final: 1, error: 2 } as const
export const SOURCE = { slab: 0, engine: 1, absent: 2, chunk: 3 } as const

/** In the order of `subten::BatchReason`. */
export const REASONS: readonly BatchReason[] = ['full', 'preferred', 'delay', 'deadline', 'idle']

/** The same name as property lookups know it: a string that was parsed is another one, and its lookups are slower. */
export function propertyName(name: string): string {
  return Object.keys({ [name]: 0 })[0] ?? name
}
