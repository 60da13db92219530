/** Datatypes of the KServe v2 protocol that tensors may have, in the order of `subten::DataType` (native/memory/tensor.h). */
export const DATATYPES = [
  'BOOL',
  'UINT8',
  'UINT16',
  'UINT32',
  'UINT64',
  'INT8',
  'INT16',
  'INT32',
  'INT64',
  'FP16',
  'BF16',
  'FP32',
  'FP64',
  'BYTES',
] as const

export type Datatype = (typeof DATATYPES)[number]

/** The array that carries the elements of each datatype. FP16 and BF16 are raw bits; BYTES of an input may be strings. */
export interface ArrayOf {
  BOOL: Uint8Array
  UINT8: Uint8Array
  UINT16: Uint16Array
  UINT32: Uint32Array
  UINT64: BigUint64Array
  INT8: Int8Array
  INT16: Int16Array
  INT32: Int32Array
  INT64: BigInt64Array
  FP16: Uint16Array
  BF16: Uint16Array
  FP32: Float32Array
  FP64: Float64Array
  BYTES: string[] | Uint8Array[]
}

export type TensorData = ArrayOf[Datatype]
export type NumericData = Exclude<TensorData, string[] | Uint8Array[]>

interface NumericConstructor {
  readonly BYTES_PER_ELEMENT: number
  readonly name: string
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): NumericData
  new (length: number): NumericData
}

/** How each datatype is stored: the array constructor and the bytes of one element (0 for BYTES). */
export const STORAGE: Readonly<Record<Datatype, { array: NumericConstructor; bytes: number }>> = {
  BOOL: { array: Uint8Array as NumericConstructor, bytes: 1 },
  UINT8: { array: Uint8Array as NumericConstructor, bytes: 1 },
  UINT16: { array: Uint16Array as NumericConstructor, bytes: 2 },
  UINT32: { array: Uint32Array as NumericConstructor, bytes: 4 },
  UINT64: { array: BigUint64Array as NumericConstructor, bytes: 8 },
  INT8: { array: Int8Array as NumericConstructor, bytes: 1 },
  INT16: { array: Int16Array as NumericConstructor, bytes: 2 },
  INT32: { array: Int32Array as NumericConstructor, bytes: 4 },
  INT64: { array: BigInt64Array as NumericConstructor, bytes: 8 },
  FP16: { array: Uint16Array as NumericConstructor, bytes: 2 },
  BF16: { array: Uint16Array as NumericConstructor, bytes: 2 },
  FP32: { array: Float32Array as NumericConstructor, bytes: 4 },
  FP64: { array: Float64Array as NumericConstructor, bytes: 8 },
  BYTES: { array: Uint8Array as NumericConstructor, bytes: 0 },
}
