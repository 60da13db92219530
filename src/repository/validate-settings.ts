import { type ConfigDocument, documentError } from './config-document.js'
import type { ModelConfig } from './config-types.js'
import { backendOfPlatform } from './engines.js'
import type { FieldPath } from './field-path.js'
import { isInnerPath, isModelName } from './names.js'
import { MAX_INSTANCES, subtenSettings } from './subten-parameters.js'

/** Checks the settings that stand for themselves: names, versions, instances, parameters. */
export function validateSettings(document: ConfigDocument, config: ModelConfig, partial: boolean): void {
  const fail = (path: FieldPath, problem: string, remedy?: string): never => {
    throw documentError(document, path, problem, remedy)
  }
  if (config.name !== '' && !isModelName(config.name)) {
    fail(['name'], `"${config.name}" is not a model name; letters, digits, ".", "_" and "-" are allowed`)
  }
  if (config.max_batch_size < 0) fail(['max_batch_size'], `cannot be negative (${config.max_batch_size})`)
  if (config.default_model_filename !== '' && !isInnerPath(config.default_model_filename)) {
    fail(
      ['default_model_filename'],
      `"${config.default_model_filename}" must be the name of a file inside the version directory`,
    )
  }
  config.output.forEach((io, index) => {
    if (io.label_filename !== '' && !isInnerPath(io.label_filename)) {
      fail(
        ['output', index, 'label_filename'],
        `"${io.label_filename}" must be the name of a file inside the model directory`,
      )
    }
  })
  const backend = backendOfPlatform(config.platform)
  if (backend && config.backend !== '' && config.backend !== backend && config.backend !== config.platform) {
    fail(['platform'], `"${config.platform}" belongs to the backend "${backend}", but backend is "${config.backend}"`)
  }
  versionPolicy(config, fail)
  instanceGroups(config, fail)
  subtenSettings(document, config, partial)
}

type Fail = (path: FieldPath, problem: string, remedy?: string) => never

function versionPolicy(config: ModelConfig, fail: Fail): void {
  const { latest, specific } = config.version_policy
  if (latest && latest.num_versions < 1) fail(['version_policy', 'latest', 'num_versions'], 'must be at least 1')
  if (!specific) return
  const path = ['version_policy', 'specific', 'versions']
  if (specific.versions.length === 0) fail(path, 'must list at least one version')
  specific.versions.forEach((version, index) => {
    if (version < 1) fail([...path, index], `a version is a positive number, not ${version}`)
    if (specific.versions.indexOf(version) !== index) fail([...path, index], `version ${version} is listed twice`)
  })
}

function instanceGroups(config: ModelConfig, fail: Fail): void {
  if (config.ensemble_scheduling && config.instance_group.length > 0) {
    fail(['instance_group'], 'an ensemble has no instances of its own')
  }
  config.instance_group.forEach((group, index) => {
    const path = ['instance_group', index]
    if (group.count < 0) fail([...path, 'count'], `cannot be negative (${group.count})`)
    if (group.count > MAX_INSTANCES) fail([...path, 'count'], `${group.count} is above the limit of ${MAX_INSTANCES}`)
    if ((group.kind === 'KIND_CPU' || group.kind === 'KIND_MODEL') && group.gpus.length > 0) {
      fail([...path, 'gpus'], `a group of ${group.kind} cannot name GPUs`)
    }
    group.gpus.forEach((gpu, at) => {
      if (gpu < 0) fail([...path, 'gpus', at], `cannot be negative (${gpu})`)
    })
    if (group.profile.length > 0 && config.platform !== 'tensorrt_plan' && config.backend !== 'tensorrt') {
      fail([...path, 'profile'], 'optimization profiles belong to TensorRT models')
    }
    group.profile.forEach((profile, at) => {
      if (!/^\d{1,9}$/.test(profile)) fail([...path, 'profile', at], `a profile is a number, not "${profile}"`)
    })
  })
}
