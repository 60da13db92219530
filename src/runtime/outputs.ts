import { markAsUntransferable } from 'node:worker_threads'
import type { NativePort } from './binding.js'
import { type ArrayOf, type Datatype, type NumericData, STORAGE } from './datatype.js'
import { DOUBLE, HEADER_BYTES, OUTPUT, OUTPUT_BYTES, propertyName, REASONS, SOURCE, WORD } from './record.js'
import { reshape } from './reshape.js'
import { Tensor } from './tensor.js'
import type { Outputs, TensorSpec, Timing } from './types.js'

/** Results up to this size are views on pooled chunks: a typed array of its own costs five times as much. */
const POOLED_BYTES = 4096
const CHUNK_BYTES = 65536

// A byte order mark at the start of a string is part of the string.
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

/** Several results lie in it: postMessage copies one of them, and does not take the others along. */
function newChunk(): ArrayBuffer {
  const chunk = new ArrayBuffer(CHUNK_BYTES)
  markAsUntransferable(chunk)
  return chunk
}

/** One output as it is read: what is known before a record comes, and the shape of the last one. */
class Output {
  readonly name: string
  readonly datatype: Datatype
  readonly #array: (typeof STORAGE)[Datatype]['array']
  readonly #elementBytes: number
  /** From the engine's shape to the model's, where they differ. */
  readonly #shapes: { engine: readonly number[]; model: readonly number[] } | undefined
  #rows = -1
  #columns = -1
  #pair: readonly number[] = []

  constructor(spec: TensorSpec) {
    this.name = propertyName(spec.name)
    this.datatype = spec.datatype
    this.#array = STORAGE[spec.datatype].array
    this.#elementBytes = STORAGE[spec.datatype].bytes
    this.#shapes = spec.engineShape && { engine: spec.engineShape, model: spec.shape }
  }

  /** The shape at `at`, where `rank` dimensions lie. Equal shapes in a row are one frozen array. */
  shape(doubles: Float64Array, at: number, rank: number): readonly number[] {
    if (rank !== 2 || this.#shapes !== undefined) {
      const own = Array.from(doubles.subarray(at, at + rank))
      return this.#shapes === undefined ? own : reshape(own, this.#shapes.engine, this.#shapes.model)
    }
    const rows = doubles[at] as number
    const columns = doubles[at + 1] as number
    if (rows !== this.#rows || columns !== this.#columns) {
      this.#rows = rows
      this.#columns = columns
      this.#pair = Object.freeze([rows, columns])
    }
    return this.#pair
  }

  view(buffer: ArrayBuffer, offset: number, bytes: number): NumericData {
    return new this.#array(buffer, offset, bytes / this.#elementBytes)
  }
}

/** Reads completion records of one port and copies their outputs out of the slab. */
export class OutputReader {
  readonly #native: NativePort
  readonly #outputs: readonly Output[]
  readonly #words: Uint32Array
  readonly #doubles: Float64Array
  readonly #slab: ArrayBuffer
  readonly #stride: number
  readonly #plainNames: boolean
  /** Where small outputs lie, and how much of it is used; native code copies most of them there. */
  chunk = newChunk()
  used = 0
  /** The chunk that the records of the last take refer to. */
  #filled = this.chunk
  #recordBytes = 0

  constructor(native: NativePort, specs: readonly TensorSpec[]) {
    this.#native = native
    this.#outputs = specs.map((spec) => new Output(spec))
    this.#words = new Uint32Array(native.records, 0, native.records.byteLength >> 2)
    this.#doubles = new Float64Array(native.records, 0, native.records.byteLength >> 3)
    this.#slab = native.slab
    this.#stride = native.stride
    this.#plainNames = specs.every((spec) => spec.name !== '__proto__')
  }

  /** How many records one take should return at most, so that their small outputs have room in the chunk. */
  room(limit: number): number {
    if (!this.#hasRoom(Math.max(this.#recordBytes, POOLED_BYTES))) this.#nextChunk()
    if (this.#recordBytes === 0) return limit
    return Math.max(1, Math.min(limit, Math.floor((CHUNK_BYTES - this.used) / this.#recordBytes)))
  }

  /** Native code has used the chunk up to `used` for `count` records. */
  filled(used: number, count: number): void {
    this.#recordBytes = Math.ceil((used - this.used) / count)
    this.#filled = this.chunk
    this.used = used
  }

  /** False as well when a caller has moved the chunk elsewhere, with the result that it was given in it. */
  #hasRoom(bytes: number): boolean {
    return this.chunk.byteLength - this.used >= bytes
  }

  #nextChunk(): void {
    this.chunk = newChunk()
    this.used = 0
  }

  word(record: number, field: number): number {
    return this.#words[((record * this.#stride) >> 2) + field] as number
  }

  /** The outputs of a record. `view` decides what an output in the slab becomes; by default a copy. */
  read(record: number, bytes: boolean, view?: SlabView): Outputs {
    const outputs: Record<string, Tensor> = {}
    const base = record * this.#stride + HEADER_BYTES
    for (let index = 0; index < this.#outputs.length; index++) {
      const output = this.#outputs[index] as Output
      const at = base + index * OUTPUT_BYTES
      const source = this.#words[(at >> 2) + OUTPUT.sourceWord]
      if (source === SOURCE.absent) continue
      const own =
        source === SOURCE.chunk
          ? this.#filled
          : source === SOURCE.engine
            ? this.#native.takeOutput(record, index)
            : undefined
      const offset = source === SOURCE.engine ? 0 : (this.#doubles[(at >> 3) + OUTPUT.offset] as number)
      const tensor = this.#tensor(output, at >> 3, own, offset, bytes, view)
      if (this.#plainNames) outputs[output.name] = tensor
      else Object.defineProperty(outputs, output.name, { value: tensor, enumerable: true })
    }
    return outputs as Outputs
  }

  #tensor(
    output: Output,
    at: number,
    own: ArrayBuffer | undefined,
    offset: number,
    bytes: boolean,
    view: SlabView | undefined,
  ): Tensor {
    const doubles = this.#doubles
    const shape = output.shape(doubles, at + OUTPUT.shape, this.#words[at * 2 + OUTPUT.rankWord] as number)
    const size = doubles[at + OUTPUT.bytes] as number
    const { datatype } = output
    if (datatype === 'BYTES') {
      const source = own ? new Uint8Array(own) : new Uint8Array(this.#slab, offset, size)
      return new Tensor(datatype, shape, readStrings(source, bytes))
    }
    if (own !== undefined) return new Tensor(datatype, shape, as(datatype, output.view(own, offset, size)))
    if (view !== undefined) return view(datatype, shape, offset, size)
    return new Tensor(datatype, shape, as(datatype, this.#copy(output, offset, size)))
  }

  #copy(output: Output, offset: number, size: number): NumericData {
    if (size > POOLED_BYTES) return output.view(this.#slab.slice(offset, offset + size), 0, size)
    if (!this.#hasRoom(size)) this.#nextChunk()
    const copy = output.view(this.chunk, this.used, size)
    this.used += (size + 7) & ~7
    ;(copy as Uint8Array).set(output.view(this.#slab, offset, size) as Uint8Array)
    return copy
  }

  /** Stage times of a record that was drained at `drainedNs`. */
  timing(record: number, drainedNs: number): Timing {
    const at = (record * this.#stride) >> 3
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
