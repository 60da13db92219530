import { SubtenError } from '../runtime/errors.js'
import type { Inputs, InputValue, Model, TensorSpec } from '../runtime/types.js'
import { DEFAULT_LIMITS } from '../server/limits.js'
import { parseBoundedJson } from '../server/protocols/kserve-rest/bounded-json.js'
import { readInferRequest } from '../server/protocols/kserve-rest/infer-request.js'
import { fromJson } from '../server/protocols/kserve-rest/json-data.js'

/** Inputs from JSON: `{ "name": [numbers, nested or flat] }`, or a request of the KServe v2 protocol. */
export function readJsonInputs(model: Model, bytes: Buffer): Inputs {
  const value = parseBoundedJson(bytes, DEFAULT_LIMITS.jsonDepth)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new SubtenError('INVALID_INPUT', 'the JSON must be an object: tensors by name, or a KServe v2 request')
  }
  const entries = Object.entries(value)
  const isRequest = entries.some(([name, v]) => name === 'inputs' && Array.isArray(v) && typeof v[0] === 'object')
  if (isRequest && !model.inputs.some((spec) => spec.name === 'inputs')) {
    return readInferRequest(bytes, undefined, model, DEFAULT_LIMITS).inputs
  }
  const inputs: Record<string, InputValue> = Object.create(null)
  for (const [name, data] of entries) {
    const spec = model.inputs.find((input) => input.name === name)
    if (!spec) throw new SubtenError('INVALID_INPUT', `model '${model.name}' has no input '${name}'`)
    inputs[name] = inputOf(spec, data)
  }
  return inputs
}

function inputOf(spec: TensorSpec, data: unknown): InputValue {
  const { name, datatype } = spec
  const shape: number[] = []
  for (let part = data; Array.isArray(part); part = part[0]) shape.push(part.length)
  if (shape.length === spec.shape.length) return { data: fromJson(data, datatype, shape, `'${name}'`), shape, datatype }
  // Flat, or without its batch dimension: the runtime knows the shape.
  const flat = Array.isArray(data) ? data.flat(Number.POSITIVE_INFINITY) : [data]
  return { data: fromJson(flat, datatype, [flat.length], `'${name}'`), datatype }
}
