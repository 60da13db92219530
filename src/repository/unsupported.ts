import type { ConfigDocument } from './config-document.js'
import { type FieldPath, formatPath } from './field-path.js'

/** A setting that is read but has no effect in subten yet. */
export interface UnsupportedSetting {
  /** As {@link formatPath} writes it. */
  readonly field: string
  readonly file?: string
  readonly line?: number
  /** `refuse`: answers would differ from Triton's without it. `warn`: only speed or bookkeeping would. */
  readonly severity: 'refuse' | 'warn'
}

/** Lists the settings that have no effect with an engine, for the loader to refuse or to warn about. */
export function unsupportedSettings(document: ConfigDocument, engine = 'onnxruntime'): UnsupportedSetting[] {
  if (engine === 'triton') return [] // it acts on all of them itself
  const found: UnsupportedSetting[] = []
  const { fields } = document
  const add = (severity: UnsupportedSetting['severity'], ...path: FieldPath): void => {
    found.push({ field: formatPath(path), ...document.origin(path), severity })
  }
  if (fields.sequence_batching) add('refuse', 'sequence_batching')
  if (fields.ensemble_scheduling) add('refuse', 'ensemble_scheduling')
  if (fields.model_repository_agents?.agents?.length) add('refuse', 'model_repository_agents')
  for (const name of ['batch_input', 'batch_output'] as const) {
    for (const index of (fields[name] ?? []).keys()) add('refuse', name, index)
  }
  if (fields.model_operations?.op_library_filename?.length) add('refuse', 'model_operations')
  if (fields.response_cache?.enable) add('warn', 'response_cache')
  if (fields.model_metrics) add('warn', 'model_metrics')
  if (fields.cc_model_filenames && Object.keys(fields.cc_model_filenames).length > 0) add('warn', 'cc_model_filenames')
  fields.instance_group?.forEach((group, index) => {
    if (group.rate_limiter) add('warn', 'instance_group', index, 'rate_limiter')
    if (group.secondary_devices?.length) add('warn', 'instance_group', index, 'secondary_devices')
    if (group.host_policy) add('warn', 'instance_group', index, 'host_policy')
    if (group.passive) add('warn', 'instance_group', index, 'passive')
  })
  return found
}
