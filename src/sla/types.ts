import type { Explanation } from '../flight/types.js'
import type { StageSummaries } from '../runtime/stats.js'

/**
 * Where a latency is measured. `engine`: submit → resolved, in the library. `edge`: a front end has read the request →
 * its answer is handed to the socket. `client`: what the load generator, or a client that reports, saw.
 */
export type Point = 'client' | 'edge' | 'engine'

/** What counts as a good event. All of them are good/total ratios: OpenSLO's ratioMetric. */
export type Indicator =
  /** Good: ended well within `thresholdUs`. The promise "p99 under 10 ms" is a target of 0.99 with 10,000. */
  | { readonly kind: 'latency'; readonly model: string; readonly point: Point; readonly thresholdUs: number }
  /** Good: ended well. */
  | { readonly kind: 'availability'; readonly model: string; readonly point: Point }
  /** Good: seconds in which at least `perSecond` requests ended well within `thresholdUs`, or all that were asked. */
  | {
      readonly kind: 'goodput'
      readonly model: string
      readonly point: Point
      readonly thresholdUs: number
      readonly perSecond: number
    }
  /** Good: a labelled answer that was right; the target is the floor. Reported by the application. */
  | { readonly kind: 'accuracy'; readonly model: string }
  /** Good: an event of a stream that was scored within `thresholdUs` of its own timestamp. Reported by the stream. */
  | { readonly kind: 'freshness'; readonly model: string; readonly thresholdUs: number }

/** Two windows that must both burn faster than `burnRate` (SRE workbook, chapter 5). */
export interface BurnCondition {
  readonly severity: 'page' | 'ticket'
  readonly burnRate: number
  readonly longMs: number
  readonly shortMs: number
  /** Only after it has been so for this long, milliseconds; at once when absent. */
  readonly afterMs?: number
}

export interface AlertPolicy {
  readonly name: string
  readonly conditions: readonly BurnCondition[]
  /** AlertNotificationTargets: where webhooks go. */
  readonly targets: readonly { readonly name: string; readonly url?: string; readonly secretEnv?: string }[]
  /** Whether targets are told when an alert ends; absent means yes. */
  readonly whenResolved?: boolean
}

export type Window =
  | { readonly kind: 'rolling'; readonly ms: number }
  /** Starts anew each `unit`, `count` at a time, from `startTime` in `timeZone`. */
  | {
      readonly kind: 'calendar'
      readonly unit: 'day' | 'week' | 'month' | 'quarter' | 'year'
      readonly count: number
      readonly startTime: string
      readonly timeZone: string
    }

/** Slices of time that are counted in place of events. */
export interface Slices {
  readonly ms: number
  /** Share of good events that makes a slice good; absent: a slice counts as that share. */
  readonly target?: number
}

/** One promise. */
export interface Objective {
  /** `metadata.name` of the SLO, with the objective's displayName behind it where there are several. Unique in a contract. */
  readonly name: string
  readonly description: string
  readonly service: string
  readonly owner: string
  readonly indicator: Indicator
  /** Share of good events, 0 to below 1. */
  readonly target: number
  readonly window: Window
  /** Where the promise is about slices of time: events are slices then. */
  readonly slices?: Slices
  /** Below so many events in a window nothing is said about it. */
  readonly minimumEvents: number
  readonly alerts: readonly AlertPolicy[]
  /** What happens when it is broken, in the contract's words. */
  readonly consequences: string
  /** Latency objectives: the threshold is given to requests as their deadline. */
  readonly enforce: boolean
  /** File and line of the SLO. */
  readonly source: { readonly file: string; readonly line: number }
}

/** Time that counts for nobody. */
export interface Maintenance {
  /** The service it is for; every service when absent. */
  readonly service?: string
  readonly from: number
  readonly to: number
  readonly reason: string
}

/** A contract file, read and checked. */
export interface Contract {
  readonly file: string
  readonly services: readonly { readonly name: string; readonly description: string; readonly owner: string }[]
  readonly objectives: readonly Objective[]
  readonly maintenance: readonly Maintenance[]
}

/** Counts since a beginning; they only grow. Client aborts are in `excluded`, and in neither of the others. */
export interface EventCounts {
  readonly good: number
  readonly total: number
  readonly excluded: number
}

export interface AlertState {
  readonly policy: string
  readonly severity: 'page' | 'ticket'
  readonly burnRate: number
  readonly longMs: number
  readonly shortMs: number
  readonly longBurn: number
  readonly shortBurn: number
  readonly firing: boolean
  /** Milliseconds since the epoch. */
  readonly since?: number
}

/** How one objective stands. */
export interface ObjectiveStatus {
  readonly objective: Objective
  /** In the objective's window. */
  readonly events: EventCounts
  /** Share of good events; undefined below the minimum count. */
  readonly compliance?: number
  /** Share of the error budget that is left: 1 untouched, 0 used up, negative broken. */
  readonly budgetLeft?: number
  /** error ratio / (1 - target), by window in milliseconds. */
  readonly burn: Readonly<Record<string, number>>
  readonly alerts: readonly AlertState[]
  readonly state: 'met' | 'at-risk' | 'broken' | 'too-few'
  /** Events since measuring began in this process; they only grow, whatever leaves the window. */
  readonly counted?: EventCounts
  /** Why nothing is measured: the model is not loaded, or nobody has reported anything. Absent where it is measured. */
  readonly notMeasured?: string
}

export interface SlaStatus {
  readonly at: number
  /** Since when events are known, milliseconds since the epoch. */
  readonly since: number
  readonly objectives: readonly ObjectiveStatus[]
}

/** What `model.on('sla', …)`, webhooks and the channel `subten:sla` get. */
export interface SlaEvent {
  readonly type: 'alert' | 'resolved' | 'broken' | 'met'
  readonly at: number
  readonly model: string
  readonly objective: string
  readonly service: string
  readonly owner: string
  readonly consequences: string
  readonly alert?: AlertState
  readonly status: ObjectiveStatus
}

export const SLA_SCHEMA = 'subten.sla/1'

/** `subten sla report`: what was promised, what was delivered, where the time went. */
export interface SlaReport {
  readonly schema: typeof SLA_SCHEMA
  readonly at: number
  readonly since: number
  readonly contract: string
  readonly objectives: readonly (ObjectiveStatus & {
    /** `99 % of requests within 10 ms, measured at engine, over 28 days`. */
    readonly promise: string
    readonly delivered: string
    /** Good share and burn over time, oldest first. */
    readonly history: readonly { readonly at: number; readonly good: number; readonly total: number }[]
  })[]
  /** By model: where the time of its requests went. */
  readonly models: readonly {
    readonly model: string
    readonly version: string
    readonly engine: string
    readonly stagesUs: StageSummaries
    /** The stage with the largest part of the time over the threshold, in a sentence; '' when nothing was slow. */
    readonly blame: string
    /** Milliseconds of the slow requests by cause. */
    readonly causes: readonly { readonly kind: string; readonly ms: number; readonly requests: number }[]
    /** The slowest requests that are kept, slowest first. */
    readonly slow: readonly Explanation[]
  }[]
}
