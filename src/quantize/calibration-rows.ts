import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import type { Dataset } from '../data/dataset.js'
import { seededRandom } from '../profile/random.js'
import { type Datatype, STORAGE } from '../runtime/datatype.js'
import { SubtenError } from '../runtime/errors.js'
import type { Inputs, Model, TensorInput, TensorSpec } from '../runtime/types.js'

/** Names of numpy for what a .npy file holds; BF16 and BYTES have none. */
const NUMPY: Partial<Record<Datatype, string>> = {
  BOOL: '|b1',
  UINT8: '|u1',
  INT8: '|i1',
  UINT16: '<u2',
  INT16: '<i2',
  UINT32: '<u4',
  INT32: '<i4',
  UINT64: '<u8',
  INT64: '<i8',
  FP16: '<f2',
  FP32: '<f4',
  FP64: '<f8',
}

const ROWS_AT_ONCE = 32

/**
 * Which rows of a data set calibrate: all, or so many drawn from it at random, by a fixed seed and in their order. The
 * first ones would not do: data are often sorted by class.
 */
export function chosenRows(count: number, most: number, seed = 1): number[] {
  const all = Array.from({ length: count }, (_, row) => row)
  if (count <= most) return all
  const random = seededRandom(seed)
  for (let i = 0; i < most; i++) {
    const other = i + Math.floor(random() * (count - i))
    const kept = all[i] as number
    all[i] = all[other] as number
    all[other] = kept
  }
  return all.slice(0, most).sort((a, b) => a - b)
}

/**
 * Writes rows of a data set as a .npy file for each input, row after row, so that they are never in memory together.
 *
 * @returns the files by input
 * @throws SubtenError NOT_SUPPORTED for an input of strings or BF16; INVALID_INPUT where rows differ in shape
 */
export async function writeRows(
  data: Dataset,
  model: Model,
  rows: readonly number[],
  folder: string,
  signal?: AbortSignal,
): Promise<Record<string, string>> {
  const writers = model.inputs.map((spec, index) => new RowsFile(spec, join(folder, `input-${index}.npy`), model))
  try {
    for (const [from, to] of runs(rows, rowsAtOnce(model))) {
      signal?.throwIfAborted()
      const inputs = await data.rows(from, to)
      for (const writer of writers) await writer.write(inputs, to - from)
    }
    for (const writer of writers) await writer.finish()
  } finally {
    await Promise.all(writers.map((writer) => writer.close()))
  }
  return Object.fromEntries(writers.filter(({ written }) => written).map(({ spec, path }) => [spec.name, path]))
}

/** How many rows the model takes in a request; one where its inputs have no dimension for more. */
export function rowsAtOnce(model: Model): number {
  if (model.maxBatchSize > 0) return Math.min(model.maxBatchSize, ROWS_AT_ONCE)
  return model.inputs.every(({ shape }) => shape[0] === -1) ? ROWS_AT_ONCE : 1
}

/** Neighbours together, at most so many. */
export function* runs(rows: readonly number[], most: number): Generator<[from: number, to: number]> {
  for (let i = 0; i < rows.length; ) {
    const from = rows[i] as number
    let length = 1
    while (length < most && rows[i + length] === from + length) length++
    yield [from, from + length]
    i += length
  }
}

/** A .npy file that grows. Its header has room, and is written last, when the number of rows is known. */
class RowsFile {
  readonly #type: string
  /** Whether requests have a dimension of rows in front, as `openDataset` gives them. */
  readonly #leading: boolean
  #file: FileHandle | undefined
  #row: readonly number[] | undefined
  #count = 0

  constructor(
    readonly spec: TensorSpec,
    readonly path: string,
    model: Model,
  ) {
    const type = NUMPY[spec.datatype]
    if (type === undefined) {
      throw new SubtenError(
        'NOT_SUPPORTED',
        `input "${spec.name}" is ${spec.datatype}, which cannot be calibrated with`,
        {
          remedy: 'Only models whose inputs are tensors of numbers can be quantised with calibration.',
        },
      )
    }
    this.#type = type
    const [first] = spec.shape
    this.#leading = first === -1 || first === 1 || (model.maxBatchSize > 0 && spec.shape.length > 0)
  }

  get written(): boolean {
    return this.#file !== undefined
  }

  async write(inputs: Inputs, count: number): Promise<void> {
    const { name, datatype } = this.spec
    const value = inputs[name]
    if (value === undefined && this.spec.optional) return
    const { data, shape } = tensorOf(value)
    if (!(data instanceof STORAGE[datatype].array)) {
      throw new SubtenError('INVALID_INPUT', `calibration input "${name}" is not ${datatype}`)
    }
    const row = this.#rowShape(shape, data.length, count)
    if (this.#row !== undefined && this.#row.join() !== row.join()) {
      const message = `calibration input "${name}": rows have the shapes [${this.#row}] and [${row}]; they must be alike`
      throw new SubtenError('INVALID_INPUT', message)
    }
    this.#row = row
    this.#file ??= await open(this.path, 'w')
    if (this.#count === 0) await this.#file.write(this.#header(0))
    await this.#file.write(Buffer.from(data.buffer, data.byteOffset, data.byteLength))
    this.#count += count
  }

  async finish(): Promise<void> {
    const header = this.#header(this.#count)
    await this.#file?.write(header, 0, header.length, 0)
  }

  async close(): Promise<void> {
    await this.#file?.close()
  }

  /** What the engine gets of one row: config.pbtxt may reshape what a client sends. */
  #rowShape(shape: readonly number[] | undefined, length: number, count: number): readonly number[] {
    const { engineShape } = this.spec
    const whole = engineShape ?? shape ?? this.spec.shape
    const row = this.#leading ? whole.slice(1) : whole
    return row.every((dim) => dim >= 0) ? row : [length / count]
  }

  #header(count: number): Buffer {
    const shape = [count, ...(this.#row ?? [])]
    const tuple = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(', ')})`
    const text = `{'descr': '${this.#type}', 'fortran_order': False, 'shape': ${tuple}, }`
    const header = Buffer.alloc(HEADER_BYTES, ' ')
    header.write('\x93NUMPY\x01\x00', 0, 'latin1')
    header.writeUInt16LE(HEADER_BYTES - 10, 8)
    header.write(text, 10, 'latin1')
    header.write('\n', HEADER_BYTES - 1, 'latin1')
    return header
  }
}

/** A multiple of 64, with room for any shape. */
const HEADER_BYTES = 256

/** The numbers of an input value, and its shape where it has one. */
export function tensorOf(value: Inputs[string]): { data: Float32Array; shape: readonly number[] | undefined } {
  const input = (ArrayBuffer.isView(value) ? { data: value } : value) as TensorInput | undefined
  return { data: input?.data as Float32Array, shape: input?.shape }
}
