import type { Settled } from './schema-types.js'

export type ModelInput = Settled<'ModelInput'>
export type ModelOutput = Settled<'ModelOutput'>
export type DynamicBatching = Settled<'ModelDynamicBatching'>
export type QueuePolicy = Settled<'ModelQueuePolicy'>
export type InstanceGroup = Settled<'ModelInstanceGroup'>
export type ModelWarmup = Settled<'ModelWarmup'>
export type VersionPolicy = Settled<'ModelVersionPolicy'>
export type OptimizationPolicy = Settled<'ModelOptimizationPolicy'>

/**
 * The configuration of a model with every default filled in, under Triton's own names. `version_policy`,
 * `optimization`, `default_queue_policy` and at least one `instance_group` are always there; `dynamic_batching` is
 * there only when the model batches across requests.
 */
export type ModelConfig = Omit<Settled<'ModelConfig'>, 'version_policy' | 'optimization' | 'dynamic_batching'> & {
  version_policy: VersionPolicy
  optimization: OptimizationPolicy
  dynamic_batching?: DynamicBatching & { default_queue_policy: QueuePolicy }
}
