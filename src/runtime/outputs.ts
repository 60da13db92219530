import type { NativePort } from './binding.js'
import { type ArrayOf, type Datatype, type NumericData, STORAGE } from './datatype.js'
import { DOUBLE, HEADER_BYTES, OUTPUT, OUTPUT_BYTES, REASONS, SOURCE, WORD } from './record.js'
import { reshape } from './reshape.js'
import { Tensor } from './tensor.js'
import type { Outputs, TensorSpec, Timing } from './types.js'

/** Results up to this size are views on pooled chunks: a typed array of its own costs five times as much. */
const POOLED_BYTES = 4096
const CHUNK_BYTES = 65536

// A byte order mark at the start of a string is part of the string.
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

/** Reads completion records of one port and copies their outputs out of the slab. */
export class OutputReader {
  readonly #native: NativePort
  readonly #specs: readonly TensorSpec[]
  readonly #words: Uint32Array
  readonly #doubles: Float64Array
  readonly #slab: ArrayBuffer
  readonly #plainNames: boolean
  readonly #shapes = new Map<number, readonly number[]>()
  #chunk = new ArrayBuffer(CHUNK_BYTES)
  #used = 0

  constructor(native: NativePort, specs: readonly TensorSpec[]) {
    this.#native = native
    this.#specs = specs
    this.#words = new Uint32Array(native.records, 0, native.records.byteLength >> 2)
    this.#doubles = new Float64Array(native.records, 0, native.records.byteLength >> 3)
    this.#slab = native.slab
    this.#plainNames = specs.every((spec) => spec.name !== '__proto__')
  }

  word(record: number, field: number): number {
    return this.#words[((record * this.#native.stride) >> 2) + field] as number
  }

  /** The outputs of a record. `view` decides what an output in the slab becomes; by default a copy. */
  read(record: number, bytes: boolean, view?: SlabView): Outputs {
    const outputs: Record<string, Tensor> = {}
    const base = record * this.#native.stride + HEADER_BYTES
    for (let index = 0; index < this.#specs.length; index++) {
      const spec = this.#specs[index] as TensorSpec
      const at = base + index * OUTPUT_BYTES
      const source = this.#words[(at >> 2) + OUTPUT.sourceWord]
      if (source === SOURCE.absent) continue
      const tensor = this.#tensor(spec, record, index, at >> 3, source === SOURCE.engine, bytes, view)
      if (this.#plainNames) outputs[spec.name] = tensor
      else Object.defineProperty(outputs, spec.name, { value: tensor, enumerable: true })
    }
    return outputs as Outputs
  }

  #tensor(
    spec: TensorSpec,
    record: number,
    index: number,
    at: number,
    engineOwned: boolean,
    bytes: boolean,
    view: SlabView | undefined,
  ): Tensor {
    const doubles = this.#doubles
    const own = this.#shape(at)
    const shape = spec.engineShape === undefined ? own : reshape(own, spec.engineShape, spec.shape)
    const size = doubles[at + OUTPUT.bytes] as number
    const offset = doubles[at + OUTPUT.offset] as number
    const { datatype } = spec
    if (datatype === 'BYTES') {
      const source = engineOwned
        ? new Uint8Array(this.#native.takeOutput(record, index))
        : new Uint8Array(this.#slab, offset, size)
      return new Tensor(datatype, shape, readStrings(source, bytes))
    }
    const { array, bytes: elementBytes } = STORAGE[datatype]
    const length = size / elementBytes
    if (engineOwned)
      return new Tensor(datatype, shape, as(datatype, new array(this.#native.takeOutput(record, index), 0, length)))
    if (view !== undefined) return view(datatype, shape, offset, size)
    return new Tensor(datatype, shape, as(datatype, this.#copy(datatype, offset, size, length)))
  }

  /** Shapes of equal small outputs are one frozen array: most requests have the same. */
  #shape(at: number): readonly number[] {
    const doubles = this.#doubles
    const rank = this.#words[at * 2 + OUTPUT.rankWord] as number
    if (rank === 2) {
      const rows = doubles[at + OUTPUT.shape] as number
      const columns = doubles[at + OUTPUT.shape + 1] as number
      const key = rows * 2 ** 26 + columns
      let shape = this.#shapes.get(key)
      if (shape === undefined || shape[0] !== rows || shape[1] !== columns) {
        shape = Object.freeze([rows, columns])
        if (this.#shapes.size < 256) this.#shapes.set(key, shape)
      }
      return shape
    }
    return Array.from(doubles.subarray(at + OUTPUT.shape, at + OUTPUT.shape + rank))
  }

  #copy(datatype: Datatype, offset: number, size: number, length: number): NumericData {
    const { array } = STORAGE[datatype]
    if (size > POOLED_BYTES) return new array(this.#slab.slice(offset, offset + size), 0, length)
    if (this.#used + size > CHUNK_BYTES) {
      this.#chunk = new ArrayBuffer(CHUNK_BYTES)
      this.#used = 0
    }
    const copy = new array(this.#chunk, this.#used, length)
    this.#used += (size + 7) & ~7
    ;(copy as Uint8Array).set(new array(this.#slab, offset, length) as Uint8Array)
    return copy
  }

  /** Stage times of a record that was drained at `drainedNs`. */
  timing(record: number, drainedNs: number): Timing {
    const at = (record * this.#native.stride) >> 3
    const time = (field: number): number => this.#doubles[at + field] as number
    const us = (from: number, to: number): number => Math.max(0, to - from) / 1000
    const submit = time(DOUBLE.submitNs)
    const leader = time(DOUBLE.leaderNs)
    const dispatch = time(DOUBLE.dispatchNs)
    const start = time(DOUBLE.startNs)
    const end = time(DOUBLE.endNs)
    const complete = time(DOUBLE.completeNs)
    const stages = {
      inbox: us(submit, leader),
      queue: us(leader, dispatch),
      prepare: us(dispatch, start),
      compute: us(start, end),
      publish: us(end, complete),
      wake: us(complete, drainedNs),
      total: us(submit, drainedNs),
    }
    return {
      ...stages,
      batchSize: this.word(record, WORD.batchRows),
      reason: REASONS[this.word(record, WORD.reason)] ?? 'idle',
      toServerTiming: () =>
        Object.entries(stages)
          .map(([name, value]) => `${name};dur=${(value / 1000).toFixed(4)}`)
          .join(', '),
    }
  }
}

export type SlabView = (datatype: Datatype, shape: readonly number[], offset: number, bytes: number) => Tensor

function as<T extends Datatype>(_datatype: T, data: NumericData): ArrayOf[T] {
  return data as ArrayOf[T]
}

function readStrings(source: Uint8Array, bytes: boolean): string[] | Uint8Array[] {
  const view = new DataView(source.buffer, source.byteOffset, source.byteLength)
  const strings: string[] = []
  const raw: Uint8Array[] = []
  for (let at = 0; at + 4 <= source.length; ) {
    const length = view.getUint32(at, true)
    const part = source.subarray(at + 4, at + 4 + length)
    if (bytes) raw.push(part.slice())
    else strings.push(decoder.decode(part))
    at += 4 + length
  }
  return bytes ? raw : strings
}
