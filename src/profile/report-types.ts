import type { StageSummaries, Stats } from '../runtime/stats.js'

/** Version of the JSON form that {@link ProfileReport} has; another number when a reader would misread it. */
export const PROFILE_SCHEMA = 'subten.profile/1'

/** A figure and the interval that holds the true one with 95 % confidence. */
export interface Estimate {
  readonly value: number
  readonly low: number
  readonly high: number
}

/** A percentile, or, where the samples do not bear it out, how many more it takes. */
export type Percentile = Estimate | { readonly needs: number }

/** A latency distribution, microseconds. */
export interface LatencySummary {
  readonly count: number
  readonly mean: number
  readonly max: number
  readonly p50: Percentile
  readonly p90: Percentile
  readonly p95: Percentile
  readonly p99: Percentile
  readonly p999: Percentile
}

/** How requests were timed; `seed` makes the same times again. */
export type Load =
  | { readonly kind: 'poisson' | 'constant'; readonly rate: number; readonly seed: number }
  /** Gaps of a gamma distribution: coefficient of variation `cv` (1 is Poisson, above it bursts). */
  | { readonly kind: 'gamma'; readonly rate: number; readonly cv: number; readonly seed: number }
  /** Poisson arrivals whose rate goes from `from` to `to` a second in a straight line. */
  | { readonly kind: 'ramp'; readonly from: number; readonly to: number; readonly seed: number }
  /** Times of a recorded trace, `speed` times as fast. */
  | { readonly kind: 'replay'; readonly file: string; readonly requests: number; readonly speed: number }
  /** No schedule: `concurrency` callers that wait for their answer. It hides stalls. */
  | { readonly kind: 'closed'; readonly concurrency: number }

/** How requests ended. sent = succeeded + failed + refused + expired + aborted. */
export interface RequestTally {
  readonly sent: number
  readonly succeeded: number
  readonly failed: number
  /** QUEUE_FULL, SLO_UNREACHABLE; over HTTP 429 and 503. */
  readonly refused: number
  /** DEADLINE_EXCEEDED; over HTTP 504. */
  readonly expired: number
  /** Given up by the generator. */
  readonly aborted: number
}

/** Whether the generator kept its schedule: a run that did not says nothing about the target. */
export interface ScheduleProof {
  readonly kept: boolean
  /** A send later than this counts as late, microseconds. */
  readonly boundUs: number
  /** Share of sends that were late, and the share that is allowed. */
  readonly late: number
  readonly allowed: number
  /** Sent after the intended time by, microseconds. */
  readonly latenessUs: LatencySummary
  /** Why the run is invalid, in a sentence. */
  readonly reason?: string
}

/** One second (or what `seconds` says) of a run. Latencies in microseconds, 0 where nothing was answered. */
export interface SeriesPoint {
  /** Seconds since the measured part began. */
  readonly at: number
  readonly seconds: number
  readonly sent: number
  readonly succeeded: number
  /** Everything that was sent and did not succeed. */
  readonly bad: number
  readonly p50: number
  readonly p99: number
  readonly max: number
}

/** One measurement of one target under one load. Times in microseconds unless the name says otherwise. */
export interface ProfileRun {
  readonly label: string
  readonly load: Load
  /** Milliseconds since the epoch when the measured part began, and how long it was, seconds. */
  readonly startedAt: number
  readonly seconds: number
  /** The part before, not counted: its length and how its end was found. */
  readonly warmup: {
    readonly seconds: number
    readonly requests: number
    readonly steady: boolean
    readonly how: string
  }
  readonly requests: RequestTally
  /** Failures by code: SubtenError codes, or HTTP statuses as `HTTP 500`. */
  readonly errors: Readonly<Record<string, number>>
  readonly firstError?: string
  /** Answers a second. */
  readonly throughput: number
  /** Answers a second within `goodWithinUs`, where a limit was given. */
  readonly goodput?: number
  readonly goodWithinUs?: number
  readonly schedule?: ScheduleProof
  /** Intended send time → answer: what a client sees. Closed loops: send → answer. */
  readonly latencyUs: LatencySummary
  /** Actual send → answer. */
  readonly serviceUs: LatencySummary
  /** The whole distribution of latencyUs, percentile 0 to 100, to 99.99 and the maximum. */
  readonly curve: readonly { readonly percentile: number; readonly us: number }[]
  readonly series: readonly SeriesPoint[]
  /** In process, or a server of ours: stages and batches of the measured part. */
  readonly stagesUs?: StageSummaries
  readonly batches?: Omit<Stats['batches'], 'inPlace'>
  /** Processor time of the process that serves, over succeeded requests. */
  readonly cpuUsPerRequest?: number
}

/** What was measured: a model in this process, or a server. */
export interface TargetFacts {
  readonly kind: 'in-process' | 'kserve-json' | 'kserve-binary' | 'classify' | 'kserve-grpc'
  readonly model: string
  readonly version?: string
  readonly engine?: string
  readonly url?: string
}

export interface MachineFacts {
  readonly cpu: string
  readonly cpus: number
  readonly memoryGiB: number
  readonly os: string
  readonly node: string
  readonly subten: string
}

/** One figure of one load, measured in several processes. */
export interface RepeatedFigure extends Estimate {
  /** `p99, Poisson 1000/s` */
  readonly what: string
  readonly unit: string
  /** Of each process whose generator kept its schedule, in the order in which they ran. */
  readonly each: readonly number[]
}

/** The same measurement in processes of their own. */
export interface Repeated {
  readonly processes: number
  /** Processes with a run whose schedule was not kept; the figures of that run are left out. */
  readonly invalid: number
  /** False where that was more than a third of the processes under some load: then the whole says nothing. */
  readonly valid: boolean
  /** Medians of the processes, and intervals of 95 % that hold what varies from process to process and within each. */
  readonly figures: readonly RepeatedFigure[]
}

/** The highest rate at which a percentile stays under a limit. */
export interface RateSearch {
  /** As `p99`. */
  readonly percentile: string
  readonly limitUs: number
  /** Requests a second: median of the repeats and their spread. */
  readonly rate: number
  readonly low: number
  readonly high: number
  readonly steps: readonly {
    readonly rate: number
    readonly repeat: number
    readonly us: number
    readonly ok: boolean
    readonly why?: string
  }[]
}

/** A run by the rules of MLPerf inference. */
export interface MlperfResult {
  readonly scenario: 'single-stream' | 'multi-stream' | 'server' | 'offline'
  readonly valid: boolean
  /** What the rules ask and how it stands, a line each. */
  readonly checks: readonly { readonly rule: string; readonly ok: boolean; readonly detail: string }[]
  /** The headline: p90 latency in microseconds, p99, or samples a second, as the scenario has it. */
  readonly metric: { readonly name: string; readonly value: number; readonly unit: string }
}

/** One figure of two builds. */
export interface Difference {
  readonly what: string
  readonly unit: string
  readonly before: number
  readonly after: number
  /** after / before, with its interval (confidence as Comparison says). */
  readonly ratio: Estimate
  /** At least 5 % and the interval excludes 1. */
  readonly real: boolean
  readonly verdict: 'slower' | 'faster' | 'higher' | 'lower' | 'same' | 'unclear'
}

export interface Comparison {
  /** Builds took turns in one session, or a report of another time was read. */
  readonly how: 'interleaved' | 'recorded'
  readonly before: string
  readonly after: string
  readonly rounds: number
  readonly confidence: number
  readonly differences: readonly Difference[]
  readonly notes: readonly string[]
}

/** What a load test says of one objective of a contract. */
export interface ObjectiveVerdict {
  readonly objective: string
  readonly promise: string
  readonly delivered: string
  readonly ok: boolean
  /** Not enough events, or a point that this target cannot measure. */
  readonly unknown?: string
}

/** What `subten bench --json` prints and its HTML report shows. */
export interface ProfileReport {
  readonly schema: typeof PROFILE_SCHEMA
  /** Milliseconds since the epoch. */
  readonly at: number
  readonly machine: MachineFacts
  readonly target: TargetFacts
  readonly seed: number
  /** With `repeated`: the runs of all processes, labelled `process 1: …`. */
  readonly runs: readonly ProfileRun[]
  readonly repeated?: Repeated
  readonly search?: RateSearch
  readonly mlperf?: MlperfResult
  readonly comparison?: Comparison
  readonly verdict?: readonly ObjectiveVerdict[]
  /** What a reader must know not to read more into the figures than they say. */
  readonly notes: readonly string[]
}
