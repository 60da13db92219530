import { type Datatype, STORAGE, type TensorData } from '../../../runtime/datatype.js'
import type { Tensor } from '../../../runtime/tensor.js'
import { elementsOf, invalid } from './tensor-shape.js'

/** The bytes of a binary tensor (little-endian; BYTES with a 4-byte length before each element). */
export function fromBinary(bytes: Buffer, datatype: Datatype, shape: readonly number[], tensor: string): TensorData {
  const count = elementsOf(shape)
  if (datatype === 'BYTES') return splitBytes(bytes, count, tensor)
  const { array, bytes: size } = STORAGE[datatype]
  if (bytes.length !== count * size) {
    throw invalid(
      `input ${tensor}: binary_data_size is ${bytes.length}, but shape [${shape}] of ${datatype} takes ${count * size} bytes`,
    )
  }
  if (bytes.byteOffset % size === 0) return new array(bytes.buffer, bytes.byteOffset, count)
  return new array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length), 0, count)
}

function splitBytes(bytes: Buffer, count: number, tensor: string): Uint8Array[] {
  // Each element takes 4 bytes at least: a shape that claims more must not cost memory.
  if (count * 4 > bytes.length) throw invalid(`input ${tensor}: ${bytes.length} bytes cannot hold ${count} elements`)
  const out = new Array<Uint8Array>(count)
  let at = 0
  for (let i = 0; i < count; i++) {
    const length = at + 4 <= bytes.length ? bytes.readUInt32LE(at) : Number.POSITIVE_INFINITY
    if (length > bytes.length - at - 4)
      throw invalid(`input ${tensor}: element ${i} runs past the end of its binary data`)
    out[i] = bytes.subarray(at + 4, at + 4 + length)
    at += 4 + length
  }
  if (at !== bytes.length)
    throw invalid(`input ${tensor}: ${bytes.length - at} bytes are left over after ${count} elements`)
  return out
}

/** A tensor as the binary tensor data extension has it. */
export function toBinary({ datatype, data }: Tensor): Buffer {
  if (datatype !== 'BYTES') {
    const view = data as Exclude<TensorData, string[] | Uint8Array[]>
    return Buffer.from(view.buffer, view.byteOffset, view.byteLength)
  }
  const parts: Buffer[] = []
  for (const element of data as (string | Uint8Array)[]) {
    const bytes = Buffer.from(element as string)
    const length = Buffer.alloc(4)
    length.writeUInt32LE(bytes.length)
    parts.push(length, bytes)
  }
  return Buffer.concat(parts)
}
