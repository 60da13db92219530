import { type ConfigDocument, documentError } from './config-document.js'
import type { DynamicBatching, InstanceGroup, ModelConfig, OptimizationPolicy, VersionPolicy } from './config-types.js'
import { toSettled } from './plain.js'
import type { Settled } from './schema-types.js'
import { leastInstances } from './subten-parameters.js'
import { validateScheduling } from './validate-scheduling.js'
import { validateSettings } from './validate-settings.js'
import { validateTensors } from './validate-tensors.js'
import { validateWarmup } from './validate-warmup.js'

export type {
  DynamicBatching,
  InstanceGroup,
  ModelConfig,
  ModelInput,
  ModelOutput,
  ModelWarmup,
  OptimizationPolicy,
  QueuePolicy,
  VersionPolicy,
} from './config-types.js'

export interface ResolveOptions {
  /** Name of the model's directory: the default of `name`, and what a `name` in the file must equal. */
  modelName?: string
  /** Accept tensors without `data_type` or `dims`, and none at all: the model itself is still to be asked. */
  partial?: boolean
  /** Instances of a group that gives no count. Default `subten.count_min`, or 1 (Triton: 2 for ONNX Runtime on CPUs, otherwise 1). */
  instanceCount?: number
}

/**
 * Fills the defaults in and checks that the settings fit together, by the rules of Triton.
 * @throws SubtenError CONFIG_INVALID with file, line and field
 */
export function resolveConfig(document: ConfigDocument, options: ResolveOptions = {}): ModelConfig {
  const settled = toSettled('ModelConfig', document.fields)
  const { modelName } = options
  if (modelName !== undefined) {
    if (settled.name === '') settled.name = modelName
    if (settled.name !== modelName) {
      throw documentError(
        document,
        ['name'],
        `the model is named "${settled.name}" but its directory "${modelName}"; the two must be equal`,
        'Rename the directory, or correct or remove the name in the file.',
      )
    }
  }
  const config: ModelConfig = {
    ...settled,
    version_policy: versionPolicy(settled.version_policy, document),
    optimization: optimization(settled.optimization),
    dynamic_batching: dynamicBatching(settled.dynamic_batching, settled.max_batch_size),
    instance_group: instanceGroups(settled, options.instanceCount ?? leastInstances(settled.parameters)),
  }
  if (config.dynamic_batching === undefined) delete config.dynamic_batching
  validateSettings(document, config, options.partial ?? false)
  validateTensors(document, config, options.partial ?? false)
  validateScheduling(document, config)
  validateWarmup(document, config)
  return config
}

function versionPolicy(policy: VersionPolicy | undefined, document: ConfigDocument): VersionPolicy {
  if (policy?.all || policy?.specific) return policy
  const written = document.fields.version_policy?.latest?.num_versions
  return { latest: { num_versions: written ?? 1 } }
}

function optimization(policy: OptimizationPolicy | undefined): OptimizationPolicy {
  const settled = policy ?? toSettled('ModelOptimizationPolicy', {})
  return { input_pinned_memory: { enable: true }, output_pinned_memory: { enable: true }, ...settled }
}

function dynamicBatching(batching: DynamicBatching | undefined, maxBatchSize: number): ModelConfig['dynamic_batching'] {
  if (batching === undefined) return undefined
  const preferred = batching.preferred_batch_size
  return {
    ...batching,
    preferred_batch_size: preferred.length > 0 ? preferred : maxBatchSize > 0 ? [maxBatchSize] : [],
    default_queue_policy: batching.default_queue_policy ?? toSettled('ModelQueuePolicy', {}),
  }
}

function instanceGroups(settled: Settled<'ModelConfig'>, instanceCount: number): InstanceGroup[] {
  if (settled.ensemble_scheduling) return settled.instance_group
  if (settled.instance_group.length === 0) {
    return [{ ...toSettled('ModelInstanceGroup', {}), name: settled.name, count: instanceCount }]
  }
  return settled.instance_group.map((group, index) => ({
    ...group,
    name: group.name === '' ? `${settled.name}_${index}` : group.name,
    count: group.count === 0 ? instanceCount : group.count,
  }))
}
