import type { ModelSpec, TensorSpec } from './complete-config.js'
import { type ConfigDocument, documentError } from './config-document.js'
import type { ModelConfig, ModelInput, ModelOutput } from './config-types.js'
import { toKserveDatatype } from './datatypes.js'
import { type FieldPath, suggestion } from './field-path.js'

type Fail = (path: FieldPath, problem: string, remedy?: string) => never
type Direction = 'input' | 'output'

/**
 * Checks a configuration against the model itself, by the rules of Triton's ONNX Runtime backend: every tensor must
 * exist with this datatype and rank; a fixed dimension of the model must be written as it is, a dynamic one of an input
 * may be narrowed; a batching configuration needs a dynamic first dimension everywhere.
 * @throws SubtenError CONFIG_INVALID with file, line, field and what the model really has
 */
export function checkAgainst(document: ConfigDocument, config: ModelConfig, spec: ModelSpec): void {
  const fail: Fail = (path, problem, remedy) => {
    throw documentError(document, path, problem, remedy)
  }
  batchDimension(config, spec, fail)
  for (const [index, io] of config.input.entries()) tensor(io, ['input', index], config, spec.inputs, fail)
  for (const [index, io] of config.output.entries()) tensor(io, ['output', index], config, spec.outputs, fail)
  missingInputs(config, spec, fail)
}

function shown(shape: readonly number[]): string {
  return `[${shape.join(', ')}]`
}

/** Scalars are left out, as Triton does: they are the same for every row. */
function batchDimension(config: ModelConfig, spec: ModelSpec, fail: Fail): void {
  if (config.max_batch_size === 0) return
  const used = new Set([...config.input, ...config.output].map((io) => io.name))
  for (const { name, shape } of [...spec.inputs, ...spec.outputs]) {
    if (!used.has(name) || shape.length === 0 || shape[0] === -1) continue
    fail(
      ['max_batch_size'],
      `is ${config.max_batch_size}, but the first dimension of "${name}" is fixed: the model has ${shown(shape)}`,
      'Set max_batch_size to 0 and give full shapes in dims, or export the model with a dynamic first dimension.',
    )
  }
}

function tensor(
  io: ModelInput | ModelOutput,
  path: FieldPath,
  config: ModelConfig,
  tensors: readonly TensorSpec[],
  fail: Fail,
): void {
  const direction = path[0] as Direction
  const model = tensors.find((candidate) => candidate.name === io.name)
  if (model === undefined) {
    const names = tensors.map((candidate) => candidate.name)
    const hint = suggestion(io.name, names) || `; its ${direction}s are ${names.join(', ') || 'none'}`
    fail([...path, 'name'], `the model has no ${direction} "${io.name}"${hint}`)
    return
  }
  if (toKserveDatatype(io.data_type) !== model.datatype) {
    fail([...path, 'data_type'], `is ${io.data_type}, but "${io.name}" is ${model.datatype} in the model`)
  }
  if ('optional' in io && io.optional && config.max_batch_size > 0) {
    fail([...path, 'optional'], `"${io.name}" cannot be optional in a model that batches`)
  }
  if ('allow_ragged_batch' in io && io.allow_ragged_batch) {
    if (model.shape.length !== 1 || model.shape[0] !== -1) {
      fail([...path, 'allow_ragged_batch'], `needs the shape [-1] in the model; "${io.name}" has ${shown(model.shape)}`)
    }
    return
  }
  const scattered = config.batch_output.some((entry) => entry.target_name.includes(io.name))
  if (!(direction === 'output' && scattered)) shape(io, path, config, model, fail)
}

function shape(
  io: ModelInput | ModelOutput,
  path: FieldPath,
  config: ModelConfig,
  model: TensorSpec,
  fail: Fail,
): void {
  const own = io.reshape ? [...path, 'reshape', 'shape'] : [...path, 'dims']
  const dims = io.reshape ? io.reshape.shape : io.dims
  if (model.shape.length === 0) {
    if (dims.some((dim) => dim !== 1)) fail(own, `"${io.name}" is a scalar in the model; write dims: [ 1 ]`)
    return
  }
  const batching = config.max_batch_size > 0
  const full = batching ? [-1, ...dims] : dims
  const really = `the model has ${shown(model.shape)}${batching ? ', whose first dimension is the batch' : ''}`
  if (full.length !== model.shape.length) {
    fail(
      own,
      `${shown(dims)} has ${dims.length} dimensions where ${model.shape.length - (batching ? 1 : 0)} are needed: ${really}`,
    )
  }
  const exact = path[0] === 'output'
  model.shape.forEach((size, index) => {
    const written = full[index]
    if (written === size || (size === -1 && !exact)) return
    const at = batching ? index - 1 : index
    fail([...own, at], `is ${written}, but "${io.name}" has ${size} there: ${really}`)
  })
}

function missingInputs(config: ModelConfig, spec: ModelSpec, fail: Fail): void {
  if (config.sequence_batching) return
  const given = new Set([
    ...config.input.map((io) => io.name),
    ...config.batch_input.flatMap((entry) => entry.target_name),
  ])
  for (const input of spec.inputs) {
    if (given.has(input.name) || input.optional) continue
    fail(['input'], `the model also needs the input "${input.name}" (${input.datatype} ${shown(input.shape)})`)
  }
}
