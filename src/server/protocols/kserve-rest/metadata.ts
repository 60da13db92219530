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
  // Triton names the platform of its ONNX Runtime backend so, whether the configuration says it or not.
  if (model.engine === 'onnxruntime') return 'onnxruntime_onnx'
  return typeof backend === 'string' && backend !== '' ? backend : model.engine
}
