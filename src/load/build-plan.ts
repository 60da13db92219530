import { resolve } from 'node:path'
import { engineCall } from '../runtime/engine-call.js'
import { installedGpu } from './gpu-files.js'

/** Batch sizes, or shapes of each input with unknown dimensions: the smallest, the usual one, the largest. */
export type PlanProfile =
  | { readonly rows: readonly [number, number, number] }
  | { readonly shapes: Readonly<Record<string, readonly [readonly number[], readonly number[], readonly number[]]>> }

export interface PlanRequest {
  /** An ONNX file. */
  readonly model: string
  readonly profiles?: readonly PlanProfile[]
  /** TensorRT for RTX: sm_75, sm_80, sm_86, sm_89, sm_120, sm_121. */
  readonly targets?: readonly string[]
  /** TensorRT: 'ampere+' or 'same' instead of this GPU alone. */
  readonly hardware?: string
  /** Later TensorRTs of the same major run the plan too, by their lean runtime. */
  readonly versionCompatible?: boolean
  /** A part of the weights may stay in the host's memory (the parameter `weight_budget_mb`). */
  readonly weightStreaming?: boolean
  /** Weights can be replaced when the plan is loaded (the parameter `refit_from`). */
  readonly refit?: boolean
  /** What the model must compute in: TensorRT takes it as it is. */
  readonly precision?: 'INT8' | 'FP16'
  readonly tf32?: boolean
  readonly timingCache?: string
  readonly workspaceMb?: number
}

export interface PlanTensor {
  readonly name: string
  readonly datatype: string
  readonly shape: readonly number[]
}

export interface PlanReport {
  readonly library: string
  readonly version: string
  readonly bytes: number
  readonly sha256: string
  readonly milliseconds: number
  readonly inputs: readonly PlanTensor[]
  readonly outputs: readonly PlanTensor[]
  /** Layers by the type that they compute in, Q and DQ apart. */
  readonly layers: Readonly<Record<string, number>>
  readonly quantize: number
  readonly dequantize: number
  readonly profiles: readonly Readonly<Record<string, readonly (readonly number[])[]>>[]
  readonly warnings: readonly string[]
}

/**
 * Builds a plan of an ONNX model. TensorRT builds on the GPU that the plan is for; TensorRT for RTX anywhere.
 *
 * @param library TensorRT's, a file or a folder; '': `SUBTEN_TENSORRT_LIB`, where the loader looks, what
 *   `subten gpu install --engine rtx` has installed
 * @throws SubtenError ENGINE_NOT_FOUND, ENGINE_VERSION, MODEL_INVALID with TensorRT's words, CONFIG_INVALID, NOT_SUPPORTED
 */
export async function buildPlan(request: PlanRequest, target: string, library = ''): Promise<PlanReport> {
  const installed = installedGpu('rtx') ?? ''
  const answer = await engineCall('tensorrt', 'build', JSON.stringify(request), resolve(target), library, installed)
  return JSON.parse(answer) as PlanReport
}
