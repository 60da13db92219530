import type { InferOptions, InputValue, Model } from '../../../runtime/types.js'
import { quoted } from '../../problem.js'
import { fromBinary } from './binary-data.js'
import { longInteger, parseBoundedJson } from './bounded-json.js'
import { fromJson } from './json-data.js'
import { elementsOf, invalid, readDatatype, readShape } from './tensor-shape.js'
import { refuseUnsupported } from './unsupported-parameters.js'

/** An inference request, checked. */
export interface InferRequest {
  readonly id?: string
  readonly inputs: Record<string, InputValue>
  /** In the order asked for. */
  readonly outputs: readonly { readonly name: string; readonly binary: boolean }[]
  readonly options: InferOptions
}

type Fields = Readonly<Record<string, unknown>>

/**
 * Reads a body of `POST …/infer`.
 * @param headerLength the JSON's length when binary tensor data follows it
 */
export function readInferRequest(
  body: Buffer,
  headerLength: number | undefined,
  model: Model,
  limits: { jsonDepth: number; tensors: number },
): InferRequest {
  if (headerLength !== undefined && headerLength > body.length) {
    throw invalid(`Inference-Header-Content-Length is ${headerLength}, but the body has ${body.length} bytes`)
  }
  const head = body.subarray(0, headerLength ?? body.length)
  const binary = new BinarySection(body.subarray(head.length))
  const request = objectOf(parseBoundedJson(head, limits.jsonDepth), 'the body')
  const parameters = parametersOf(request, 'the request')
  refuseUnsupported(parameters, 'the request')

  const inputs: Record<string, InputValue> = Object.create(null)
  for (const [name, input] of named(request.inputs, 'inputs', limits.tensors)) {
    if (!model.inputs.some((spec) => spec.name === name)) {
      throw invalid(`model ${quoted(model.name)} has no input ${quoted(name)}`)
    }
    inputs[name] = readInput(quoted(name), input, binary)
  }
  if (request.inputs === undefined) throw invalid("the request has no 'inputs'")
  binary.end()
  return {
    id: idOf(request.id),
    inputs,
    outputs: readOutputs(request, model, parameters.binary_data_output === true, limits.tensors),
    options: {
      priority: wholeNumber(parameters.priority, 'priority'),
      timeoutUs: wholeNumber(parameters.timeout, 'timeout'),
    },
  }
}

function readInput(tensor: string, input: Fields, binary: BinarySection): InputValue {
  const datatype = readDatatype(input.datatype, tensor)
  const shape = readShape(input.shape, tensor)
  const parameters = parametersOf(input, `input ${tensor}`)
  refuseUnsupported(parameters, `input ${tensor}`)
  const size = wholeNumber(parameters.binary_data_size, 'binary_data_size')
  if (size === undefined) {
    // A tensor without elements may leave its data out.
    const data = input.data === undefined && elementsOf(shape) === 0 ? [] : input.data
    return { data: fromJson(data, datatype, shape, tensor), shape, datatype }
  }
  if (input.data !== undefined) throw invalid(`input ${tensor} has both 'data' and 'binary_data_size'`)
  return { data: fromBinary(binary.take(size, tensor), datatype, shape, tensor), shape, datatype }
}

function readOutputs(request: Fields, model: Model, binary: boolean, limit: number): InferRequest['outputs'] {
  const wanted = named(request.outputs, 'outputs', limit)
  if (wanted.size === 0) return model.outputs.map(({ name }) => ({ name, binary }))
  return Array.from(wanted, ([name, output]) => {
    if (!model.outputs.some((spec) => spec.name === name)) {
      throw invalid(`model ${quoted(model.name)} has no output ${quoted(name)}`)
    }
    const parameters = parametersOf(output, `output ${quoted(name)}`)
    refuseUnsupported(parameters, `output ${quoted(name)}`)
    const own = parameters.binary_data
    if (own !== undefined && typeof own !== 'boolean')
      throw invalid(`output ${quoted(name)}: binary_data must be a boolean`)
    return { name, binary: own ?? binary }
  })
}

/** Hands out the bytes after the JSON, in order; all of them must be taken. */
class BinarySection {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  take(size: number, tensor: string): Buffer {
    const left = this.#bytes.length - this.#at
    if (size > left) throw invalid(`input ${tensor}: binary_data_size is ${size}, but only ${left} bytes are left`)
    this.#at += size
    return this.#bytes.subarray(this.#at - size, this.#at)
  }

  end(): void {
    const left = this.#bytes.length - this.#at
    if (left > 0) throw invalid(`the body has ${left} bytes more than its inputs announce`)
  }
}

function named(list: unknown, what: string, limit: number): Map<string, Fields> {
  const found = new Map<string, Fields>()
  if (list === undefined) return found
  if (!Array.isArray(list)) throw invalid(`'${what}' must be an array`)
  if (list.length > limit) throw invalid(`'${what}' has more than ${limit} entries`)
  for (const entry of list) {
    const fields = objectOf(entry, `an entry of '${what}'`)
    const { name } = fields
    if (typeof name !== 'string' || longInteger(name) !== undefined)
      throw invalid(`an entry of '${what}' has no 'name'`)
    if (found.has(name)) throw invalid(`'${what}' names ${quoted(name)} twice`)
    found.set(name, fields)
  }
  return found
}

/** An object whose fields are only its own: a key such as "__proto__" is a key like any other. */
function objectOf(value: unknown, what: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalid(`${what} must be a JSON object`)
  return Object.assign(Object.create(null), value) as Fields
}

function parametersOf(owner: Fields, what: string): Fields {
  return owner.parameters === undefined ? {} : objectOf(owner.parameters, `'parameters' of ${what}`)
}

function idOf(id: unknown): string | undefined {
  if (id === undefined) return undefined
  if (typeof id !== 'string' || longInteger(id) !== undefined) throw invalid("'id' must be a string")
  if (id.length > 1024) throw invalid("'id' is longer than 1024 characters")
  return id
}

function wholeNumber(value: unknown, name: string): number | undefined {
  if (value === undefined) return undefined
  if (Number.isSafeInteger(value) && (value as number) >= 0) return value as number
  throw invalid(`parameter '${name}' must be a whole number from 0`)
}
