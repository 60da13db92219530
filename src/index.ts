export type { Cause, CauseKind, Explanation } from './flight/types.js'
export { load } from './load/load.js'
export { openRepository } from './load/open-repository.js'
export type { Progress as ProfileProgress } from './profile/generator.js'
export type { LoadPlan } from './profile/load-plan.js'
export { type ProfileOptions, profile } from './profile/profile.js'
export type {
  Estimate,
  LatencySummary,
  Load,
  Percentile,
  ProfileRun,
  RequestTally,
  ScheduleProof,
  SeriesPoint,
} from './profile/report-types.js'
export type { ServerTarget, Target } from './profile/target.js'
export { attach } from './runtime/attach.js'
export type { ArrayOf, Datatype, NumericData, TensorData } from './runtime/datatype.js'
export { withDeadline } from './runtime/deadline.js'
export type { InferEvent, StreamEvent } from './runtime/diagnostics.js'
export type { LogEvent } from './runtime/engine-log.js'
export type { ErrorCode } from './runtime/error-table.js'
export { SubtenError, type SubtenErrorOptions } from './runtime/errors.js'
export type { ModelAt, Models, TypedModel, TypedStream } from './runtime/models.js'
export type {
  EngineStage,
  RequestCounts,
  SloLatency,
  SloStats,
  Stage,
  StageSummaries,
  StageSummary,
  Stats,
} from './runtime/stats.js'
export { Tensor } from './runtime/tensor.js'
export type {
  BatchReason,
  ClaimOptions,
  Classification,
  ClassifyOptions,
  ClassifyTiming,
  ClassScore,
  CudaProvider,
  ExecutionProvider,
  InferManyOptions,
  InferOptions,
  Inputs,
  InputValue,
  LoadOptions,
  Model,
  ModelEvents,
  ModelSla,
  ModelStream,
  OpenvinoProvider,
  Outputs,
  Repository,
  RepositoryEntry,
  RepositoryLoadOptions,
  RepositoryOptions,
  Sequence,
  Settled,
  ShareToken,
  Slot,
  TensorInput,
  TensorrtProvider,
  TensorSpec,
  Timing,
  TritonOptions,
} from './runtime/types.js'
export type {
  AlertPolicy,
  AlertState,
  BurnCondition,
  Contract,
  EventCounts,
  Indicator,
  Maintenance,
  Objective,
  ObjectiveStatus,
  Point,
  SlaEvent,
  SlaReport,
  SlaStatus,
  Window,
} from './sla/types.js'
