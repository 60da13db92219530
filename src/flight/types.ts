import type { BatchReason, Stage } from '../runtime/stats.js'

/** What made a request slow; `kind` is stable, for machines. */
export type CauseKind =
  /** Garbage collection of JavaScript stopped the thread of the caller. */
  | 'gc'
  /** Other code of the caller's thread kept its event loop. */
  | 'event-loop'
  /** The engine took longer for this batch than it does usually for one of its size. */
  | 'slow-batch'
  /** Other processes or threads had the CPU. */
  | 'cpu-contention'
  /** The cgroup's CPU quota was used up. */
  | 'throttled'
  /** The request waited behind others for a free instance. */
  | 'queue'
  /** The batcher waited for more requests, as it was told to. */
  | 'batching-delay'
  /** Pages were not in memory. */
  | 'page-faults'
  /** The whole machine stood still: sleeping threads of this process woke late too. */
  | 'host'
  /** What the engine takes for such a batch. */
  | 'compute'
  /** Nothing that is watched explains this part. */
  | 'unexplained'

export interface Cause {
  readonly kind: CauseKind
  readonly ms: number
  /** In words: `garbage collection (mark-sweep)`, `behind batch 812 (waited for deadline)`. */
  readonly detail: string
}

/** One slow request and its neighbourhood. */
export interface Explanation {
  /** The id that the caller gave, or '' . */
  readonly id: string
  readonly model: string
  readonly version: string
  /** When it was submitted, milliseconds since the epoch. */
  readonly at: number
  readonly totalMs: number
  readonly outcome: 'succeeded' | 'failed' | 'expired' | 'cancelled' | 'refused'
  /** Milliseconds a stage. */
  readonly stages: Readonly<Partial<Record<Stage, number>>>
  readonly batch?: {
    readonly number: number
    readonly rows: number
    readonly requests: number
    readonly reason: BatchReason
    /** Ids of other requests of the batch, where they had any. */
    readonly mates: readonly string[]
  }
  /** Largest first; their milliseconds add up to totalMs. */
  readonly causes: readonly Cause[]
  /** `11.4 ms: 6.1 garbage collection, 3.2 behind batch 812 (waited for deadline)`. */
  readonly text: string
}
