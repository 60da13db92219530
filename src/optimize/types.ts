import type { Estimate, MachineFacts } from '../profile/report-types.js'
import type { StageSummaries } from '../runtime/stats.js'

/** Version of the JSON form of {@link OptimizeReport}; another number when a reader would misread it. */
export const OPTIMIZE_SCHEMA = 'subten.optimize/1'

/** How requests of different callers become batches. */
export type Batching =
  /** Each request runs alone. */
  | { readonly kind: 'off' }
  /** Triton's: up to `maxBatch` rows, the first of which waits `delayUs` at most. */
  | { readonly kind: 'static'; readonly maxBatch: number; readonly delayUs: number }
  /** subten's: batches as large as the deadline of the contract lets them be, and refusals at the door. */
  | { readonly kind: 'slo'; readonly maxBatch: number }

/** One setting of one model file that can be measured. */
export interface Candidate {
  /** Says everything that tells it from the others: `vision_int8 onnxruntime b8+1ms i1 t2`. */
  readonly id: string
  /** Name of the model or of its variant. */
  readonly variant: string
  readonly engine: string
  readonly batching: Batching
  readonly instances: number
  /** Threads inside one run of the engine; 0 for engines that have no such setting. */
  readonly threads: number
}

/** One open-loop run at one rate. Percentiles are of all that was sent: what was refused or failed took for ever. */
export interface TrialFigures {
  /** Requests a second, Poisson. */
  readonly rate: number
  readonly seconds: number
  readonly sent: number
  readonly succeeded: number
  readonly p50Us: number
  readonly p95Us: number
  readonly p99Us: number
  readonly p999Us: number
  /** 95 % interval of p99 over the answers, where there are enough for one. */
  readonly p99?: Estimate
  /** Answers a second, and those of them within the limit of the contract. */
  readonly throughput: number
  readonly goodput: number
  /** Processor time of the serving process a request, microseconds. */
  readonly cpuUs?: number
  /** Why the run says nothing about the model: its generator was late, and the limit was missed. */
  readonly invalid?: string
}

/** A failed or refused request took an hour, the most that a histogram holds: JSON has no infinity. */
export const FOR_EVER_US = 3_600e6

/** What one process found out about one candidate. */
export interface Figures {
  /** The highest rate, requests a second, at which p99 stays within the limit; 0 where none does. */
  readonly capacity: number
  /** Why the capacity may be higher than that: what ended the search. */
  readonly bound?: string
  /** The candidate could not be measured: why. Its capacity is 0. */
  readonly failed?: string
  readonly trials: readonly TrialFigures[]
  /** Median latency of one request after another, microseconds. */
  readonly aloneUs: number
  /** At the rate that the caller gave. */
  readonly atRate?: TrialFigures
  /** Of the trial at the highest rate that kept the limit. */
  readonly stagesUs?: StageSummaries
  readonly meanBatch?: number
  readonly cpuUs?: number
  /** Of the whole process, Node.js and load generator included. */
  readonly peakRssMb: number
  /** What the measurement took, start of the process to its end. */
  readonly seconds: number
}

/** How a measurement is to be made. */
export interface MeasureBudget {
  /** Place of the stage in the search, from 0, and of the repeat within it, from 0. */
  readonly rung: number
  readonly repeat: number
  /** Seconds of load, all trials together. */
  readonly seconds: number
  /** Requests that a trial should have, as far as four times its length reaches. */
  readonly requests: number
  /** Capacity found before. */
  readonly hint?: number
}

/** Accuracy on held-out data, shares from 0 to 1, with Wilson's 95 % intervals. */
export interface AccuracyFigures {
  readonly model: string
  readonly engine: string
  readonly rows: number
  readonly classes?: number
  readonly top1?: Estimate
  /** Where there are ten classes or more. */
  readonly top5?: Estimate
  /** Against the model it was made from. */
  readonly against?: PairedAccuracy
}

export interface PairedAccuracy {
  readonly model: string
  /** Share of rows with the same top class, where outputs are scores of classes. */
  readonly agreement?: Estimate
  /** top-1 of this minus that of the other, paired by row; a share. */
  readonly difference?: Estimate
  /** Rows that only this one, and only the other, got right. */
  readonly onlyThis?: number
  readonly onlyOther?: number
  /** Exact McNemar test, two-sided: probability of as lopsided a split where both are as good. */
  readonly pValue?: number
  readonly outputs: OutputError
}

/** How far outputs are from those of the other model. */
export interface OutputError {
  readonly maxAbs: number
  readonly meanAbs: number
  /** Of the output vectors of all rows, the mean; 1 is the same direction. */
  readonly cosine: number
}

/** What became of a variant. */
export interface VariantVerdict {
  readonly variant: string
  readonly engine: string
  readonly base: boolean
  /** As `INT8`, where its configuration says so. */
  readonly precision: string
  readonly accuracy?: AccuracyFigures
  /** Why it cannot be recommended; undefined where it can. */
  readonly refused?: string
  /** What a reader must know of an accuracy that was accepted. */
  readonly caution?: string
  readonly bytes: number
}

/** What is known of a candidate at the end. */
export interface CandidateResult {
  readonly candidate: Candidate
  /** The last stage it was measured in, from 0; -1 where it was not. */
  readonly rung: number
  readonly finalist: boolean
  /** Why it did not go on. */
  readonly dropped?: string
  /** Over the repeats of the last stage, or of the one measurement of an earlier one (no interval then). */
  readonly capacity: Estimate
  /** Capacity in each repeat of the last stage. */
  readonly each: readonly number[]
  readonly figures: readonly Figures[]
  readonly pareto: boolean
}

export interface Recommendation {
  readonly candidate: Candidate
  readonly capacity: Estimate
  /** Candidates that cannot be told from it, and lost for being less simple. */
  readonly equals: readonly string[]
  /** Why this one, in sentences. */
  readonly why: readonly string[]
  /** Runs at one rate, in processes of their own. */
  readonly verified?: Verified
}

/** The recommended setting at one rate, repeated. */
export interface Verified {
  readonly rate: number
  readonly runs: readonly TrialFigures[]
  /** Repeats in which p99 stayed within the limit. */
  readonly kept: number
}

/** A ratio of two settings, and which two. */
export interface Gain {
  readonly from: string
  readonly to: string
  readonly ratio: Estimate
  readonly verdict: 'much' | 'some' | 'nothing' | 'harms' | 'undecided'
}

export interface OptimizeReport {
  readonly schema: typeof OPTIMIZE_SCHEMA
  readonly at: number
  readonly model: string
  readonly machine: MachineFacts
  readonly slo: { readonly percentile: string; readonly limitUs: number }
  readonly rate?: number
  readonly data?: { readonly path: string; readonly rows: number; readonly labelled: boolean; readonly sha256: string }
  /** Points of top-1 that may be lost. */
  readonly accuracyDrop: number
  readonly seed: number
  readonly variants: readonly VariantVerdict[]
  readonly results: readonly CandidateResult[]
  readonly leftOut: readonly { readonly what: string; readonly why: string }[]
  readonly recommendation?: Recommendation
  /** The best setting of the model itself without batching: what ratios stand on. */
  readonly baseline?: { readonly id: string; readonly capacity: Estimate }
  /** Recommended over baseline. */
  readonly gain?: Gain
  readonly batching: readonly Gain[]
  readonly quantisation: readonly Gain[]
  /** What the figures say. */
  readonly sentences: {
    readonly batching: readonly string[]
    readonly quantisation: readonly string[]
    readonly first: readonly string[]
  }
  readonly search: {
    readonly rungs: readonly { readonly candidates: number; readonly seconds: number; readonly repeats: number }[]
    /** Seconds of measuring, and what measuring all candidates as the finalists were would have taken. */
    readonly spentSeconds: number
    readonly gridSeconds: number
    readonly repeats: number
    readonly resumed: number
  }
  readonly notes: readonly string[]
}
