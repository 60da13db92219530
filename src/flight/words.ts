import { REASONS } from '../runtime/record.js'
import type { BatchReason } from '../runtime/stats.js'
import type { BatchRecord } from './timeline.js'
import type { Cause } from './types.js'

/** Why a batch went, as the end of "behind batch 812 (…)". */
const WENT: Record<BatchReason, string> = {
  full: 'was full',
  preferred: 'had a preferred size',
  delay: 'waited for more requests',
  deadline: 'waited for deadline',
  idle: 'went at once',
}

const ms = (ns: number): string => (ns / 1e6).toFixed(1)
const plural = (count: number, word: string): string => `${count} ${word}${count === 1 ? '' : 's'}`

/** Causes in words, as they follow their milliseconds. */
export const WORDS = {
  gc: (kind: string): string => `garbage collection (${kind})`,
  eventLoop: 'other work on the event loop',
  cpuContention: 'waiting for a CPU that others had',
  throttled: 'CPU quota used up',
  batchingDelay: 'waiting for more requests to batch',
  host: 'the machine stood still',
  pageFaults: (count: number): string => `reading memory from disk (${plural(count, 'page fault')})`,
  slowBatch: ({ number, rows, usualNs }: BatchRecord): string =>
    `slow run of batch ${number} (${plural(rows, 'row')}, usually ${ms(usualNs)} ms)`,
  compute: (batch: BatchRecord | undefined): string =>
    batch === undefined ? 'computing' : `computing batch ${batch.number} (${plural(batch.rows, 'row')})`,
  unexplained: (stage: string): string => `unexplained (${stage})`,
} as const

/** What a request waited for; `previous` is longest first. */
export function behindWords(previous: readonly BatchRecord[], behind: number): string {
  const [longest] = previous
  if (longest === undefined) return 'behind other batches'
  const { number, usualNs, start, end, rows, reason } = longest
  const why = rows === 0 ? 'still running' : WENT[REASONS[reason] ?? 'idle']
  const slow = usualNs > 0 && end - start > 2 * usualNs ? `, ${ms(end - start)} ms instead of ${ms(usualNs)}` : ''
  const more = behind > 1 ? ` and ${behind - 1} more` : ''
  return `behind batch ${number} (${why}${slow})${more}`
}

/** Shares below this part of the whole are left out of the sentence, unless nothing else is there. */
const SMALL = 0.05
const MOST = 4

/** `11.4 ms: 6.1 garbage collection, 3.2 behind batch 812 (waited for deadline)`. */
export function sentence(totalMs: number, causes: readonly Cause[]): string {
  const told = causes.filter(({ ms: each }, i) => i === 0 || each >= SMALL * totalMs).slice(0, MOST)
  const parts = told.map((cause) => `${cause.ms.toFixed(1)} ${cause.detail}`).join(', ')
  return `${totalMs.toFixed(1)} ms${parts && `: ${parts}`}`
}
