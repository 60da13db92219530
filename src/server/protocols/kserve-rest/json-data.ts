import { type Datatype, STORAGE, type TensorData } from '../../../runtime/datatype.js'
import type { Tensor } from '../../../runtime/tensor.js'
import { longInteger } from './bounded-json.js'
import { elementsOf, invalid } from './tensor-shape.js'

/** `data` of a JSON tensor, flat or nested as its shape, as the array of its datatype. */
export function fromJson(data: unknown, datatype: Datatype, shape: readonly number[], tensor: string): TensorData {
  if (datatype === 'FP16' || datatype === 'BF16') {
    throw invalid(
      `sending ${datatype} data via JSON is not supported. Please use the binary data format for input ${tensor}`,
      'Send the tensor as binary data (binary_data_size).',
    )
  }
  const count = elementsOf(shape)
  const flat = flatten(data, shape, count, tensor)
  const wrong = (value: unknown): Error => {
    const shown = longInteger(value) ?? JSON.stringify(value)
    return invalid(`input ${tensor}: ${String(shown).slice(0, 40)} is not a ${datatype} value`)
  }
  if (datatype === 'BYTES') {
    const strings = new Array<string>(count)
    for (let i = 0; i < count; i++) {
      const value = flat[i]
      if (typeof value !== 'string' || longInteger(value) !== undefined) throw wrong(value)
      strings[i] = value
    }
    return strings
  }
  const out = new STORAGE[datatype].array(count)
  const read = READERS[datatype]
  for (let i = 0; i < count; i++) {
    const value = read(flat[i])
    if (value === undefined) throw wrong(flat[i])
    out[i] = value
  }
  return out
}

function flatten(data: unknown, shape: readonly number[], count: number, tensor: string): readonly unknown[] {
  if (data === undefined) throw invalid(`input ${tensor} has neither 'data' nor 'binary_data_size'`)
  if (!Array.isArray(data)) {
    if (shape.length === 0 && (typeof data !== 'object' || data === null)) return [data]
    throw invalid(`input ${tensor}: 'data' must be an array`)
  }
  if (shape.length > 1 && Array.isArray(data[0])) {
    const out: unknown[] = []
    gather(data, shape, 0, out, tensor)
    return out
  }
  if (data.length !== count) {
    throw invalid(`input ${tensor}: 'data' has ${data.length} elements, but its shape [${shape}] has ${count}`)
  }
  return data
}

/** At most as deep as the shape is long, which is bounded. */
function gather(data: unknown, shape: readonly number[], level: number, out: unknown[], tensor: string): void {
  if (!Array.isArray(data) || data.length !== shape[level]) {
    throw invalid(`input ${tensor}: nested 'data' does not have its shape [${shape}]`)
  }
  if (level === shape.length - 1) for (const value of data) out.push(value)
  else for (const part of data) gather(part, shape, level + 1, out, tensor)
}

type Reader = (value: unknown) => number | bigint | undefined

function integer(low: number, high: number): Reader {
  return (v) => (typeof v === 'number' && Number.isInteger(v) && v >= low && v <= high ? v : undefined)
}

function big(low: bigint, high: bigint): Reader {
  return (v) => {
    const digits = longInteger(v)
    if (digits === undefined && !Number.isSafeInteger(v)) return undefined
    const value = BigInt(digits ?? (v as number))
    return value >= low && value <= high ? value : undefined
  }
}

const NAMED: Readonly<Record<string, number>> = {
  NaN: Number.NaN,
  Infinity: Number.POSITIVE_INFINITY,
  '-Infinity': Number.NEGATIVE_INFINITY,
}

/** What JSON cannot write as a number comes as proto3 JSON has it: "NaN", "Infinity", "-Infinity". */
const float: Reader = (v) => {
  if (typeof v === 'number') return v
  if (typeof v !== 'string') return undefined
  const digits = longInteger(v)
  if (digits !== undefined) return Number(digits)
  return Object.hasOwn(NAMED, v) ? NAMED[v] : undefined
}

const READERS: Readonly<Record<Exclude<Datatype, 'BYTES' | 'FP16' | 'BF16'>, Reader>> = {
  BOOL: (v) => (v === true || v === 1 ? 1 : v === false || v === 0 ? 0 : undefined),
  UINT8: integer(0, 0xff),
  UINT16: integer(0, 0xffff),
  UINT32: integer(0, 0xffffffff),
  UINT64: big(0n, 2n ** 64n - 1n),
  INT8: integer(-0x80, 0x7f),
  INT16: integer(-0x8000, 0x7fff),
  INT32: integer(-0x80000000, 0x7fffffff),
  INT64: big(-(2n ** 63n), 2n ** 63n - 1n),
  FP32: float,
  FP64: float,
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** The elements as a JSON array in text; 64-bit integers with all their digits. */
export function toJson({ datatype, data }: Tensor, tensor: string): string {
  if (datatype === 'FP16' || datatype === 'BF16') {
    throw invalid(
      `sending ${datatype} data via JSON is not supported. Please use the binary data format for output ${tensor}`,
      'Ask for the output with "binary_data": true.',
    )
  }
  if (datatype === 'BOOL') return `[${Array.from(data as Uint8Array, (v) => (v ? 'true' : 'false')).join()}]`
  if (datatype === 'BYTES') return `[${(data as (string | Uint8Array)[]).map((v) => text(v, tensor)).join()}]`
  if (datatype !== 'FP32' && datatype !== 'FP64') return `[${(data as BigInt64Array).join()}]`
  const values = data as Float64Array
  if (values.every(Number.isFinite)) return `[${values.join()}]`
  return `[${Array.from(values, (v) => (Number.isFinite(v) ? String(v) : `"${v}"`)).join()}]`
}

function text(value: string | Uint8Array, tensor: string): string {
  if (typeof value === 'string') return JSON.stringify(value)
  try {
    return JSON.stringify(utf8.decode(value))
  } catch {
    throw invalid(`output ${tensor} is not UTF-8 text; ask for it with "binary_data": true`)
  }
}
