import { type ConfigDocument, documentError } from './config-document.js'
import type { ModelConfig, ModelInput, ModelOutput } from './config-types.js'
import type { FieldPath } from './field-path.js'

type Fail = (path: FieldPath, problem: string, remedy?: string) => never

/** Checks `input`, `output`, `batch_input` and `batch_output`. */
export function validateTensors(document: ConfigDocument, config: ModelConfig, partial: boolean): void {
  const fail: Fail = (path, problem, remedy) => {
    throw documentError(document, path, problem, remedy)
  }
  const scalars = scalarTensors(document)
  for (const direction of ['input', 'output'] as const) {
    const lines = new Map<string, number | undefined>()
    config[direction].forEach((io, index) => {
      const path = [direction, index]
      if (io.name === '') fail(path, 'must have a name')
      if (lines.has(io.name)) {
        const line = lines.get(io.name)
        fail(
          [...path, 'name'],
          `there are two ${direction}s named "${io.name}"${line ? ` (the other on line ${line})` : ''}`,
        )
      }
      lines.set(io.name, document.origin([...path, 'name']).line)
      tensor(io, path, config, partial || scalars.has(`${direction} ${io.name}`), fail)
      const written = document.fields[direction]?.[index]
      if (io.data_type === 'TYPE_INVALID' && !(partial && written?.data_type === undefined)) {
        fail(
          written?.data_type === undefined ? path : [...path, 'data_type'],
          `"${io.name}" must have a data_type, such as TYPE_FP32`,
        )
      }
    })
  }
  batchTensors(config, fail)
}

/** Tensors completed from the model may be scalars; a written list of dims always has entries. */
function scalarTensors(document: ConfigDocument): Set<string> {
  const scalars = new Set<string>()
  for (const direction of ['input', 'output'] as const) {
    for (const io of document.fields[direction] ?? []) {
      if (io.dims?.length === 0) scalars.add(`${direction} ${io.name}`)
    }
  }
  return scalars
}

function tensor(io: ModelInput | ModelOutput, path: FieldPath, config: ModelConfig, noDims: boolean, fail: Fail): void {
  if (io.dims.length === 0 && !noDims) fail(path, `"${io.name}" must have dims`)
  dimensions(io.dims, [...path, 'dims'], fail)
  if (io.reshape) {
    const shape = [...path, 'reshape']
    dimensions(io.reshape.shape, [...shape, 'shape'], fail)
    if (!sameElements(io.dims, io.reshape.shape)) {
      fail(shape, `[${io.reshape.shape}] does not hold as many elements as dims [${io.dims}]`)
    }
  }
  const tensorrt = config.platform === 'tensorrt_plan' || config.backend === 'tensorrt'
  if (io.is_shape_tensor && !tensorrt) fail([...path, 'is_shape_tensor'], 'shape tensors belong to TensorRT models')
  if (io.is_non_linear_format_io) {
    const flag = [...path, 'is_non_linear_format_io']
    if (!tensorrt) fail(flag, 'non-linear formats belong to TensorRT models')
    if (io.dims.length !== 3) fail(flag, `needs 3 dims, "${io.name}" has ${io.dims.length}`)
  }
  if ('format' in io && io.format !== 'FORMAT_NONE' && io.dims.length !== 3) {
    fail([...path, 'format'], `${io.format} needs 3 dims, "${io.name}" has ${io.dims.length}`)
  }
}

function dimensions(dims: readonly number[], path: FieldPath, fail: Fail): void {
  dims.forEach((dim, index) => {
    if (dim < 1 && dim !== -1) fail([...path, index], `a dimension is at least 1, or -1 when it varies; this is ${dim}`)
  })
}

/**
 * Whether two shapes hold equally many elements: between two varying dimensions the products must agree, piece by
 * piece. An empty shape is one element.
 */
export function sameElements(dims: readonly number[], shape: readonly number[]): boolean {
  const pieces = (list: readonly number[]): number[] => {
    const products = [1]
    for (const dim of list) {
      if (dim === -1) products.push(1)
      else products[products.length - 1] = (products.at(-1) ?? 1) * dim
    }
    return products
  }
  const left = pieces(dims)
  const right = pieces(shape)
  return left.length === right.length && left.every((product, index) => product === right[index])
}

function batchTensors(config: ModelConfig, fail: Fail): void {
  const inputs = new Set(config.input.map((io) => io.name))
  const outputs = new Set(config.output.map((io) => io.name))
  const sources = (names: readonly string[], path: FieldPath): void => {
    if (names.length !== 1) fail(path, `needs exactly one source_input, there are ${names.length}`)
    names.forEach((name, at) => {
      if (!inputs.has(name)) fail([...path, 'source_input', at], `there is no input named "${name}"`)
    })
  }
  config.batch_input.forEach((entry, index) => {
    const path = ['batch_input', index]
    sources(entry.source_input, path)
    if (entry.data_type !== 'TYPE_INT32' && entry.data_type !== 'TYPE_FP32') {
      fail([...path, 'data_type'], 'must be TYPE_INT32 or TYPE_FP32')
    }
  })
  config.batch_output.forEach((entry, index) => {
    const path = ['batch_output', index]
    sources(entry.source_input, path)
    entry.target_name.forEach((name, at) => {
      const target = [...path, 'target_name', at]
      if (!outputs.has(name)) fail(target, `there is no output named "${name}"`)
      if (entry.target_name.indexOf(name) !== at) fail(target, `"${name}" is listed twice`)
    })
  })
}
