/** What was seen of a slow request and around it. Times are nanoseconds of the monotonic clock. */
export interface SlowRecord {
  /** From 1, in the order of being kept. */
  readonly sequence: number
  readonly slot: number
  readonly generation: number
  readonly outcome: 'succeeded' | 'failed' | 'expired'
  /** Number of the event loop whose thread asked. */
  readonly loop: number
  readonly rows: number
  readonly submit: number
  readonly leader: number
  readonly dispatch: number
  readonly start: number
  readonly end: number
  readonly complete: number
  readonly drained: number
  readonly resolved: number
  /** Of the time from submit to dispatch: all instances were at other batches; and at how many. */
  readonly behindNs: number
  readonly behind: number
  readonly batch: BatchRecord | undefined
  /** The batches that it waited for, longest first, at most 8. */
  readonly previous: readonly BatchRecord[]
  readonly mates: readonly { readonly slot: number; readonly generation: number }[]
}

/** One batch. */
export interface BatchRecord {
  readonly number: number
  readonly dispatch: number
  readonly start: number
  readonly end: number
  readonly rows: number
  readonly requests: number
  readonly reason: number
  readonly instance: number
  /** What a batch of so many rows takes; 0: not known. */
  readonly usualNs: number
  /** From when on its thread was measured, to its end; 0: it was not. */
  readonly measured: number
  readonly cpuNs: number
  /** Its thread could run and had no CPU. */
  readonly delayNs: number
  readonly majorFaults: number
  readonly preempted: number
}

/** A time of the monotonic clock, from `start` to `end`. */
export interface Span {
  readonly start: number
  readonly end: number
}

export interface GcPause extends Span {
  /** `mark-sweep`, `scavenge` and the like. */
  readonly kind: string
}

/** A thread that was to wake at `start` woke at `end`. */
export interface LateWake extends Span {
  /** By how much the throttled time of the cgroup grew meanwhile. */
  readonly throttledNs: number
  /** For how long that thread waited for a CPU. */
  readonly delayNs: number
}

/** An event loop was in one turn, or its thread had no CPU. */
export interface LoopStall extends Span {
  readonly loop: number
  readonly turn: boolean
  readonly delayNs: number
}

export interface HostSample {
  readonly at: number
  /** In all. */
  readonly throttledNs: number
}

/** What happened to the threads of the process beside their work. */
export interface HostSeen {
  readonly late: readonly LateWake[]
  readonly stalls: readonly LoopStall[]
  readonly samples: readonly HostSample[]
  readonly pauses: readonly GcPause[]
}
