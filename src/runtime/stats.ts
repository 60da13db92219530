/** Why a batch was dispatched. */
export type BatchReason = 'full' | 'preferred' | 'delay' | 'deadline' | 'idle'

/** One latency distribution, microseconds, from an HDR histogram with three significant digits. */
export interface StageSummary {
  readonly count: number
  readonly mean: number
  readonly p50: number
  readonly p95: number
  readonly p99: number
  readonly p999: number
  readonly max: number
}

/** Stages of a request, in order; `total` is submit → drained, `resolve` is drained → its promise was resolved. */
export const STAGES = ['inbox', 'queue', 'prepare', 'compute', 'publish', 'wake', 'resolve', 'total'] as const
export type Stage = (typeof STAGES)[number]

/**
 * What an engine measures inside itself, of every eighth batch: Triton by its trace; on a device, where runs are recorded,
 * by events in its stream (copies in, the run, copies out). Parts of `compute`, so not of the other stages' sum.
 */
export type EngineStage =
  | 'tritonQueue'
  | 'tritonInput'
  | 'tritonCompute'
  | 'tritonOutput'
  | 'deviceInput'
  | 'deviceCompute'
  | 'deviceOutput'
/** Every stage of a model, and those of its engine where it measures any. */
export type StageSummaries = Readonly<Record<Stage, StageSummary>> &
  Readonly<Partial<Record<EngineStage, StageSummary>>>

/** How requests ended; `submitted` = the others + what is in flight. */
export interface RequestCounts {
  readonly submitted: number
  readonly succeeded: number
  readonly failed: number
  readonly cancelled: number
  readonly expired: number
  /** Refused at the door (QUEUE_FULL, SLO_UNREACHABLE); not part of `submitted`. */
  readonly refused: number
  readonly inFlight: number
  /**
   * Refused with SLO_UNREACHABLE and answered by the cheaper variant instead, on this thread; in none of the others.
   * Only for models that have one.
   */
  readonly servedByVariant?: number
}

/** What is known of the latency of one batch size. */
export interface SloLatency {
  readonly rows: number
  /** Requests of about the same size have the same number. */
  readonly shapeClass: number
  /** Microseconds. */
  readonly typicalUs: number
  /** What nearly all batches keep, microseconds; decisions are made with it. */
  readonly highUs: number
  readonly samples: number
  /** Seen itself, between two sizes that were, or beyond all of them. */
  readonly basis: 'measured' | 'between' | 'beyond'
}

/** How deadline-aware scheduling does; counts of requests in every environment that uses the model. */
export interface SloStats {
  readonly admitted: number
  /** Refused with SLO_UNREACHABLE. */
  readonly refused: number
  /** Dropped in the queue, because they could not make it any more and others could. */
  readonly dropped: number
  /** Ended after their due time although they were admitted. */
  readonly late: number
  /** Rows a second that arrive. */
  readonly arrivalRate: number
  /** Rows a second that all instances do at the best batch size. */
  readonly bestRate: number
  /** Lateness of the event loop, which is taken off deadlines. */
  readonly loopLatenessUs: number
  /** Instances that may run now. */
  readonly instances: number
  readonly latencies: readonly SloLatency[]
}

export interface Stats {
  readonly requests: RequestCounts
  readonly batches: {
    readonly count: number
    /** Mean rows a batch. */
    readonly meanSize: number
    readonly byReason: Readonly<Record<BatchReason, number>>
    /** Batches whose inputs lay side by side and were read in place. */
    readonly inPlace: number
    /** Batches by their number of rows. */
    readonly sizes?: Readonly<Record<number, number>>
  }
  /** Batches that are in the engine now, and how long the oldest of them has been there: 0 when none runs. */
  readonly running: { readonly batches: number; readonly oldestMs: number }
  readonly stages: StageSummaries
  /** How late timers of this thread fire: the delay of its event loop. */
  readonly eventLoop: StageSummary
  /** Memory of the model for tensors, bytes. */
  readonly memory: { readonly bytes: number; readonly used: number }
  /** For models with `slo`. */
  readonly slo?: SloStats
  /** When these figures were read, milliseconds since the epoch. */
  readonly at: number
  /** The figures of the time between `previous` and this. */
  diff(previous: Stats): Stats
}
