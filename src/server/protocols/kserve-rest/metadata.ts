import type { Model, TensorSpec } from '../../../runtime/types.js'

export const EXTENSIONS = ['binary_tensor_data', 'model_repository(index)', 'parameters', 'schedule_policy'] as const

/** `GET /v2/models/{m}` in the words of KServe. */
export function modelMetadata(model: Model, versions: readonly string[]): object {
  const tensor = ({ name, datatype, shape }: TensorSpec): object => ({ name, datatype, shape })
  return {
    name: model.name,
    versions,
    platform: platformOf(model),
    inputs: model.inputs.map(tensor),
    outputs: model.outputs.map(tensor),
  }
}

function platformOf(model: Model): string {
  const { platform, backend } = model.config
  if (typeof platform === 'string' && platform !== '') return platform
  if (typeof backend === 'string' && backend !== '') return backend
  return model.engine
}
