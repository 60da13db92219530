import { type Datatype, type NumericData, STORAGE } from './datatype.js'
import { SubtenError } from './errors.js'
import type { InputValue, TensorInput, TensorSpec } from './types.js'

/** An input ready to be written: its full shape, its size, and how its bytes get there. */
export interface ReadyInput {
  readonly shape: readonly number[]
  readonly bytes: number
  write(target: Uint8Array): void
}

/**
 * An input that is written into the request's memory by whoever has it, when there is such memory: nothing of its size is
 * made before. Not part of the public interface; a request that is tried again is written again.
 */
export class WrittenInput {
  readonly datatype: Datatype
  readonly shape: readonly number[]
  readonly write: (target: Uint8Array) => void

  constructor(datatype: Datatype, shape: readonly number[], write: (target: Uint8Array) => void) {
    this.datatype = datatype
    this.shape = shape
    this.write = write
  }

  get bytes(): number {
    return product(this.shape) * STORAGE[this.datatype].bytes
  }

  /** As a value of `Inputs`, whose type does not tell of it. */
  get value(): InputValue {
    return this as unknown as InputValue
  }
}

const encoder = new TextEncoder()
const typedArray = Object.getPrototypeOf(Uint8Array.prototype) as object
/** The length of a typed array, whatever its caller says: it may have a `length` of its own. */
export const lengthOf = Object.getOwnPropertyDescriptor(typedArray, 'length')?.get as () => number
/** The name of a typed array's own kind, whatever its prototype says; undefined for a DataView. */
const arrayKind = Object.getOwnPropertyDescriptor(typedArray, Symbol.toStringTag)?.get as () => string | undefined

/**
 * Checks one input against its specification and works out its shape.
 *
 * @param batching whether the first dimension of the specification counts rows
 * @throws SubtenError INVALID_INPUT naming the tensor, what was given and what the model takes
 */
export function readyInput(spec: TensorSpec, value: InputValue, batching: boolean): ReadyInput {
  if (value instanceof WrittenInput) return readyWritten(spec, value)
  const given = isTensorInput(value) ? value : ({ data: value } as TensorInput)
  if (given.datatype !== undefined && given.datatype !== spec.datatype) {
    throw invalid(spec, `has datatype ${given.datatype}, the model takes ${spec.datatype}`)
  }
  if (spec.datatype === 'BYTES') return readyStrings(spec, given, batching)
  const data = given.data as NumericData
  if (!isArrayOf(spec.datatype, data)) {
    throw invalid(spec, `is ${describe(data)}, ${spec.datatype} needs ${arrayName(spec.datatype)}`)
  }
  const wanted = given.shape
  const length = lengthOf.call(data) // after the accessors of the caller
  const shape = wanted === undefined ? inferShape(spec, length, batching) : checkShape(spec, wanted)
  const elements = product(shape)
  if (elements !== length) {
    throw invalid(spec, `has ${length} elements, shape [${shape}] needs ${elements}`)
  }
  const bytes = length * STORAGE[spec.datatype].bytes
  return {
    shape,
    bytes,
    write: (target) => target.set(new Uint8Array(data.buffer, data.byteOffset, bytes)),
  }
}

function readyWritten(spec: TensorSpec, { datatype, shape, bytes, write }: WrittenInput): ReadyInput {
  if (datatype !== spec.datatype) throw invalid(spec, `has datatype ${datatype}, the model takes ${spec.datatype}`)
  return { shape: checkShape(spec, shape), bytes, write }
}

function isTensorInput(value: InputValue): value is TensorInput {
  return (
    typeof value === 'object' &&
    value !== null &&
    !ArrayBuffer.isView(value) &&
    !Array.isArray(value) &&
    'data' in value
  )
}

/** Strings and byte strings in the KServe binary form: each a little-endian uint32 length and its bytes. */
function readyStrings(spec: TensorSpec, given: TensorInput, batching: boolean): ReadyInput {
  const data: unknown = given.data
  if (!Array.isArray(data)) throw invalid(spec, `is ${describe(data)}, BYTES needs string[] or Uint8Array[]`)
  let bytes = 0
  const parts = data.map((item: unknown, index) => {
    const part = typeof item === 'string' ? encoder.encode(item) : item
    if (!(part instanceof Uint8Array))
      throw invalid(spec, `has ${describe(item)} at index ${index}, a string is needed`)
    bytes += 4 + part.length
    return part
  })
  const shape = given.shape === undefined ? inferShape(spec, parts.length, batching) : checkShape(spec, given.shape)
  if (product(shape) !== parts.length) {
    throw invalid(spec, `has ${parts.length} strings, shape [${shape}] needs ${product(shape)}`)
  }
  return {
    shape,
    bytes,
    write(target) {
      const view = new DataView(target.buffer, target.byteOffset, target.byteLength)
      let at = 0
      for (const part of parts) {
        view.setUint32(at, part.length, true)
        target.set(part, at + 4)
        at += 4 + part.length
      }
    },
  }
}

/** A bare array: one row, and at most one unknown dimension follows from its length. */
function inferShape(spec: TensorSpec, length: number, batching: boolean): number[] {
  const shape = [...spec.shape]
  if (batching) shape[0] = 1
  const unknown = shape.filter((dim) => dim < 0).length
  if (unknown > 1) throw invalid(spec, `has ${unknown} unknown dimensions in [${spec.shape}]: give { data, shape }`)
  const known = shape.reduce((total, dim) => (dim < 0 ? total : total * dim), 1)
  if (unknown === 0) {
    if (known !== length) {
      const hint = batching && length % known === 0 && length > 0 ? '; give { data, shape } for several rows' : ''
      throw invalid(spec, `has ${length} elements, shape [${shape}] needs ${known}${hint}`)
    }
    return shape
  }
  if (known === 0 ? length !== 0 : length % known !== 0) {
    throw invalid(spec, `has ${length} elements, which is no multiple of ${known} for shape [${spec.shape}]`)
  }
  return shape.map((dim) => (dim < 0 ? (known === 0 ? 0 : length / known) : dim))
}

function checkShape(spec: TensorSpec, shape: readonly number[]): readonly number[] {
  if (!Array.isArray(shape) || !shape.every((dim) => Number.isSafeInteger(dim) && dim >= 0)) {
    throw invalid(spec, 'has a shape that is not a list of whole numbers from 0')
  }
  const fits =
    shape.length === spec.shape.length &&
    shape.every((dim, i) => (spec.shape[i] as number) < 0 || spec.shape[i] === dim)
  if (!fits) throw invalid(spec, `has shape [${shape}], the model takes [${spec.shape}]`)
  if (!Number.isSafeInteger(product(shape))) throw invalid(spec, `has shape [${shape}], which is too large`)
  return [...shape]
}

/** Whether `data` is the array that carries `datatype`. */
export function isArrayOf(datatype: Datatype, data: unknown): data is NumericData {
  if (!ArrayBuffer.isView(data)) return false
  // By its tag, not its class: arrays of another realm (a vm context, a test runner) are as good.
  const kind = arrayKind.call(data)
  if (kind === STORAGE[datatype].array.name) return true
  return (datatype === 'UINT8' && kind === 'Uint8ClampedArray') || (datatype === 'FP16' && kind === 'Float16Array')
}

function arrayName(datatype: Datatype): string {
  return datatype === 'FP16' || datatype === 'BF16'
    ? `a Uint16Array of ${datatype} bits`
    : `a ${STORAGE[datatype].array.name}`
}

function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value)
  if (Array.isArray(value)) return 'a plain array'
  if (typeof value === 'object') return `a ${(value as object).constructor?.name ?? 'plain object'}`
  return `a ${typeof value}`
}

export function product(shape: readonly number[]): number {
  return shape.reduce((total, dim) => total * dim, 1)
}

export function invalid(spec: TensorSpec, problem: string): SubtenError {
  return new SubtenError('INVALID_INPUT', `input '${spec.name}' ${problem}`, { details: { tensor: spec.name } })
}
