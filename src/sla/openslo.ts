/** Objects of OpenSLO v1 as far as subten reads them; `schemas/sla.schema.json` has been checked before. */
export interface Metadata {
  readonly name: string
  readonly displayName?: string
  readonly annotations?: Readonly<Record<string, string>>
}

export interface MetricQuery {
  readonly metricSource: { readonly type?: string; readonly metricSourceRef?: string; readonly spec: unknown }
}

export interface SliSpec {
  readonly ratioMetric?: {
    readonly good?: MetricQuery
    readonly bad?: object
    readonly total?: MetricQuery
    readonly raw?: object
  }
  readonly thresholdMetric?: MetricQuery
}

export interface TimeWindow {
  readonly duration: string
  readonly isRolling?: boolean
  readonly calendar?: { readonly startTime: string; readonly timeZone: string }
}

export interface SloObjective {
  readonly displayName?: string
  readonly op?: 'lte' | 'gte' | 'lt' | 'gt'
  readonly value?: number
  readonly target?: number
  readonly targetPercent?: number
  readonly timeSliceTarget?: number
  readonly timeSliceWindow?: number | string
  readonly indicator?: object
  readonly indicatorRef?: string
  readonly compositeWeight?: number
}

export interface SloSpec {
  readonly description?: string
  readonly service: string
  readonly indicator?: { readonly metadata: Metadata; readonly spec: SliSpec }
  readonly indicatorRef?: string
  readonly timeWindow?: readonly TimeWindow[]
  readonly budgetingMethod?: 'Occurrences' | 'Timeslices' | 'RatioTimeslices'
  readonly objectives: readonly SloObjective[]
  readonly alertPolicies?: readonly (Inline<AlertPolicySpec> | { readonly alertPolicyRef: string })[] | null
}

export interface AlertPolicySpec {
  readonly alertWhenNoData?: boolean
  readonly alertWhenResolved?: boolean
  readonly alertWhenBreaching?: boolean
  readonly conditions: readonly (Inline<AlertConditionSpec> | { readonly conditionRef: string })[]
  readonly notificationTargets?: readonly (Inline<NotificationTargetSpec> | { readonly targetRef: string })[] | null
}

export interface AlertConditionSpec {
  readonly severity: 'page' | 'ticket'
  readonly condition: {
    readonly op: 'lte' | 'gte' | 'lt' | 'gt'
    readonly threshold: number
    readonly lookbackWindow: string
    readonly alertAfter?: string
  }
}

export interface NotificationTargetSpec {
  readonly target: string
}

export interface Inline<Spec> {
  readonly metadata: Metadata
  readonly spec: Spec
}

/** The spec of each kind. */
export interface Specs {
  Service: { readonly description?: string }
  DataSource: { readonly type: string }
  SLI: SliSpec
  SLO: SloSpec
  AlertPolicy: AlertPolicySpec
  AlertCondition: AlertConditionSpec
  AlertNotificationTarget: NotificationTargetSpec
}
export type Kind = keyof Specs
