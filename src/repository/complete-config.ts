import { SubtenError } from '../runtime/errors.js'
import type { ConfigDocument, ConfigFields } from './config-document.js'
import { toConfigDataType } from './datatypes.js'
import type { Written } from './schema-types.js'

/** A tensor as the engine finds it in the model: the full shape, with any batch dimension; -1 = dynamic. */
export interface TensorSpec {
  readonly name: string
  /** KServe name: FP32, INT64, BYTES… */
  readonly datatype: string
  readonly shape: readonly number[]
  readonly optional?: boolean
}

/** What a model itself says it takes and gives. */
export interface ModelSpec {
  readonly inputs: readonly TensorSpec[]
  readonly outputs: readonly TensorSpec[]
  /** The largest batch, where the model says one (plans of TensorRT). */
  readonly maxBatchSize?: number
}

/** What Triton gives a batching model whose configuration names no size (`default-max-batch-size`). */
export const DEFAULT_MAX_BATCH_SIZE = 4

/** Whether every tensor begins with a dynamic dimension, so that requests can be stacked. */
export function canBatch(spec: ModelSpec): boolean {
  return spec.inputs.length > 0 && [...spec.inputs, ...spec.outputs].every((tensor) => tensor.shape[0] === -1)
}

/**
 * Fills in what a configuration leaves out from the model itself, by the rules of Triton's ONNX Runtime backend:
 * without `input` or without `output` (or without any config.pbtxt) a model that can batch gets `max_batch_size` 4 (a
 * plan of TensorRT its largest) and the dynamic batcher, any other `max_batch_size` 0; the missing tensor lists are those of the model, less the batch
 * dimension, and a tensor of nothing but the batch dimension is `dims: [ 1 ]` reshaped to `[ ]`.
 *
 * Two things go beyond Triton: a `max_batch_size: 0` that is written stays 0 (Triton cannot tell it from none), and a
 * tensor given by name alone gets its `data_type` and `dims`. What is written is never changed.
 *
 * @throws SubtenError NOT_SUPPORTED for a datatype that has no KServe name, naming the tensor
 */
export function completeConfig(document: ConfigDocument, spec: ModelSpec): ConfigDocument {
  const { fields } = document
  const completed: ConfigFields = { ...fields }
  const listed = (fields.input?.length ?? 0) + (fields.batch_input?.length ?? 0) > 0 && (fields.output?.length ?? 0) > 0
  if (!listed) {
    const batches = canBatch(spec) && !writtenUnbatched(fields, spec)
    completed.max_batch_size ??= batches ? (spec.maxBatchSize ?? DEFAULT_MAX_BATCH_SIZE) : 0
    const scheduled = fields.dynamic_batching ?? fields.sequence_batching ?? fields.ensemble_scheduling
    if (batches && completed.max_batch_size > 1 && scheduled === undefined) completed.dynamic_batching = {}
  }
  const batching = (completed.max_batch_size ?? 0) > 0
  if ((fields.batch_input?.length ?? 0) === 0 || fields.input?.length) {
    completed.input = completeTensors(fields.input, spec.inputs, batching)
  }
  completed.output = completeTensors(fields.output, spec.outputs, batching)
  return { fields: completed, file: document.file, origin: (path) => document.origin(path) }
}

/** Tensors written with as many dims as the model has mean a configuration without a batch dimension. */
function writtenUnbatched(fields: ConfigFields, spec: ModelSpec): boolean {
  const full = (
    written: Written<'ModelInput' | 'ModelOutput'>[] | undefined,
    tensors: readonly TensorSpec[],
  ): boolean =>
    written?.some((io) => {
      const shape = io.reshape?.shape ?? io.dims
      return shape !== undefined && shape.length === tensors.find((tensor) => tensor.name === io.name)?.shape.length
    }) ?? false
  return fields.max_batch_size === undefined && (full(fields.input, spec.inputs) || full(fields.output, spec.outputs))
}

type WrittenTensor = Pick<Written<'ModelInput'>, 'name' | 'data_type' | 'dims' | 'reshape' | 'optional'>

function completeTensors<T extends WrittenTensor>(
  written: T[] | undefined,
  tensors: readonly TensorSpec[],
  batching: boolean,
): T[] {
  if (written === undefined || written.length === 0) {
    return tensors.map((tensor) => describe(tensor, batching) as T)
  }
  return written.map((io) => {
    const tensor = tensors.find((candidate) => candidate.name === io.name)
    if (tensor === undefined || (io.data_type !== undefined && io.dims !== undefined)) return io
    const { data_type, dims, reshape } = describe(tensor, batching)
    return {
      ...io,
      data_type: io.data_type ?? data_type,
      ...(io.dims === undefined &&
        (io.reshape?.shape?.length ? { dims: io.reshape.shape } : { dims, reshape: io.reshape ?? reshape })),
    }
  })
}

function describe(tensor: TensorSpec, batching: boolean): WrittenTensor {
  const data_type = toConfigDataType(tensor.datatype)
  if (data_type === undefined) {
    throw new SubtenError(
      'NOT_SUPPORTED',
      `tensor "${tensor.name}" has the datatype ${tensor.datatype}, which subten cannot pass`,
      {
        remedy: 'Export the model with this tensor in a datatype of the KServe protocol, such as FP32 or INT8.',
        details: { tensor: tensor.name, datatype: tensor.datatype },
      },
    )
  }
  const dims = batching ? tensor.shape.slice(1) : [...tensor.shape]
  const scalar = batching && dims.length === 0
  return {
    name: tensor.name,
    data_type,
    dims: scalar ? [1] : dims,
    ...(scalar && { reshape: { shape: [] } }),
    ...(tensor.optional && { optional: true }),
  }
}
