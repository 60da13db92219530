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

/** What an engine measures inside itself; Triton, from its trace of a request. Not part of the other stages' sum. */
export type EngineStage = 'tritonQueue' | 'tritonInput' | 'tritonCompute' | 'tritonOutput'
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
  /** When these figures were read, milliseconds since the epoch. */
  readonly at: number
  /** The figures of the time between `previous` and this. */
  diff(previous: Stats): Stats
}
