import { readFileSync } from 'node:fs'
import { type Datatype, STORAGE } from '../../../src/runtime/datatype.js'
import type { Tensor } from '../../../src/runtime/tensor.js'
import type { TensorInput } from '../../../src/runtime/types.js'

/** A tensor of a reference.json: values made by ONNX Runtime's Python API; `raw` are its bytes, base64. */
export interface ReferenceTensor {
  name: string
  datatype: Datatype
  shape: number[]
  data: (number | string | boolean)[]
  raw?: string
}

export interface ReferenceCase {
  inputs: ReferenceTensor[]
  outputs?: ReferenceTensor[]
  error?: string
}

export interface ReferenceModel {
  inputs: { name: string; datatype: Datatype | null; shape: number[]; optional?: boolean }[]
  outputs: { name: string; datatype: Datatype | null; shape: number[] }[]
  loads: boolean
  cases?: ReferenceCase[]
}

export function readJson<T>(path: string): T {
  return JSON.parse(readFileSync(path, 'utf8')) as T
}

export function inputOf({ datatype, shape, data, raw }: ReferenceTensor): TensorInput {
  if (datatype === 'BYTES') return { data: data as string[], shape, datatype }
  const { array, bytes } = STORAGE[datatype]
  const buffer = Uint8Array.from(Buffer.from(raw ?? '', 'base64')).buffer
  return { data: new array(buffer, 0, buffer.byteLength / bytes), shape, datatype }
}

export function inputsOf(tensors: readonly ReferenceTensor[]): Record<string, TensorInput> {
  const inputs: Record<string, TensorInput> = Object.create(null)
  for (const tensor of tensors) inputs[tensor.name] = inputOf(tensor)
  return inputs
}

/** The bytes of a numeric tensor, base64. */
export function rawOf({ data }: Tensor): string {
  const view = data as Uint8Array
  return Buffer.from(view.buffer, view.byteOffset, view.byteLength).toString('base64')
}
