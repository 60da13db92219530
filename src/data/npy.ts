import { type Datatype, type NumericData, STORAGE } from '../runtime/datatype.js'
import type { SubtenError } from '../runtime/errors.js'
import { dataError } from './data-error.js'

/** An array of numbers in row-major order. FP16 is a Uint16Array of its bits, BOOL a Uint8Array. */
export interface NpyArray {
  readonly datatype: Datatype
  readonly shape: readonly number[]
  readonly data: NumericData
}

/** What the head of an .npy file says of its elements, which begin at `start`. */
export interface NpyHeader {
  readonly datatype: Datatype
  readonly shape: readonly number[]
  /** Elements in all. */
  readonly count: number
  /** Bytes before the first element. */
  readonly start: number
}

const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59]
/** Longest text of a header. That of a plain array has about 100 bytes; version 2 of the format allows 4 GiB. */
const MAX_TEXT = 64 * 1024
const MAX_RANK = 32

/** NumPy's names for kind and size of an element (numpy.lib.format). */
const DESCRIPTIONS: Readonly<Record<string, Datatype>> = {
  b1: 'BOOL',
  u1: 'UINT8',
  u2: 'UINT16',
  u4: 'UINT32',
  u8: 'UINT64',
  i1: 'INT8',
  i2: 'INT16',
  i4: 'INT32',
  i8: 'INT64',
  f2: 'FP16',
  f4: 'FP32',
  f8: 'FP64',
}

/**
 * Reads the head of an .npy file; undefined where `bytes` do not hold all of it yet.
 *
 * @param place file and array, for errors
 * @throws SubtenError INVALID_INPUT: no .npy, an element type that has no tensor, Fortran order, objects
 */
export function readNpyHeader(bytes: Uint8Array, place: { file: string; array: string }): NpyHeader | undefined {
  const wrong = (wanted: string, given: string, remedy?: string): SubtenError =>
    dataError({ ...place, wanted, given, remedy })
  const seen = Math.min(bytes.length, MAGIC.length)
  for (let i = 0; i < seen; i++) {
    if (bytes[i] !== MAGIC[i]) throw wrong('an array in the .npy format', 'its first bytes are others')
  }
  if (bytes.length < 8) return undefined
  const major = bytes[6] as number
  if (major < 1 || major > 3) throw wrong('version 1, 2 or 3 of the .npy format', `it says version ${major}`)
  const at = major === 1 ? 10 : 12
  if (bytes.length < at) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const length = major === 1 ? view.getUint16(8, true) : view.getUint32(8, true)
  if (length > MAX_TEXT) throw wrong(`a header of at most ${MAX_TEXT} bytes`, `it says ${length}`)
  if (bytes.length < at + length) return undefined
  const text = new TextDecoder(major === 3 ? 'utf-8' : 'latin1').decode(bytes.subarray(at, at + length))
  const fields = fieldsOf(text)
  if (fields === undefined) {
    throw wrong("a header with 'descr', 'fortran_order' and 'shape'", `it is ${shown(text)}`)
  }
  const datatype = datatypeOf(fields.descr, wrong)
  const shape = shapeOf(fields.shape)
  const count = shape?.reduce((all, size) => all * size, 1)
  if (shape === undefined || count === undefined || !Number.isSafeInteger(count * 8)) {
    throw wrong(`a shape of at most ${MAX_RANK} whole numbers from 0`, `the header says ${shown(fields.shape)}`)
  }
  if (fields.fortran === 'True' && shape.filter((size) => size > 1).length > 1) {
    throw wrong(
      'an array in row-major (C) order',
      "the header says 'fortran_order': True",
      'Save it with numpy.ascontiguousarray(array).',
    )
  }
  return { datatype, shape, count, start: at + length }
}

interface Fields {
  descr: string
  fortran: string
  shape: string
}

/** The Python dictionary of the header; the values as their text. Undefined for anything else. */
function fieldsOf(text: string): Fields | undefined {
  const body = /^\s*\{([\s\S]*)\}\s*$/.exec(text)?.[1]
  if (body === undefined) return undefined
  const entry =
    /\s*(['"])(descr|fortran_order|shape)\1\s*:\s*(True|False|\([\dL,\s]*\)|'[^']*'|"[^"]*"|\[.*\])\s*(?:,|$)/y
  const found = new Map<string, string>()
  while (entry.lastIndex < body.trimEnd().length) {
    const match = entry.exec(body)
    if (match === null || found.has(match[2] as string)) return undefined
    found.set(match[2] as string, match[3] as string)
  }
  const [descr, fortran, shape] = ['descr', 'fortran_order', 'shape'].map((name) => found.get(name))
  if (descr === undefined || shape === undefined || (fortran !== 'True' && fortran !== 'False')) return undefined
  return { descr, fortran, shape }
}

function datatypeOf(descr: string, wrong: (wanted: string, given: string, remedy?: string) => SubtenError): Datatype {
  const [, order = '', kind = ''] = /^['"]([<>|=]?)(\w+)['"]$/.exec(descr) ?? []
  const datatype = Object.hasOwn(DESCRIPTIONS, kind) ? DESCRIPTIONS[kind] : undefined
  if (datatype === undefined) {
    const names = Object.keys(DESCRIPTIONS).join(', ')
    const remedy =
      kind === 'O'
        ? 'Objects are stored as pickled Python, which is never read: make an array of numbers of them.'
        : 'Convert it with array.astype(…) before you save it.'
    throw wrong(`elements of one of the types ${names}`, `'descr' is ${shown(descr)}`, remedy)
  }
  if (order === '>' && STORAGE[datatype].bytes > 1) {
    throw wrong('little-endian elements', `'descr' is ${shown(descr)}`, "Save it with array.astype('<' + kind).")
  }
  return datatype
}

function shapeOf(text: string): number[] | undefined {
  const inner = /^\(([\s\S]*)\)$/.exec(text)?.[1]
  if (inner === undefined) return undefined
  const parts = inner.split(',').map((part) => part.trim().replace(/L$/, ''))
  if (parts.at(-1) === '') parts.pop()
  if (parts.length > MAX_RANK || !parts.every((part) => /^\d{1,15}$/.test(part))) return undefined
  return parts.map(Number)
}

function shown(text: string): string {
  const line = text.trim()
  return line.length > 100 ? `${line.slice(0, 97)}...` : line
}

/** The elements of an array from its bytes, which are not copied: they must be aligned. */
export function npyElements(datatype: Datatype, bytes: ArrayBuffer): NumericData {
  const { array, bytes: size } = STORAGE[datatype]
  return new array(bytes, 0, bytes.byteLength / size)
}

/**
 * The head of an .npy file for an array, in version 1 of the format, filled up so that the elements are aligned to 64.
 *
 * @throws SubtenError INVALID_INPUT for BF16 and strings, which the format does not have, and where the shape is not that
 *   of the elements
 */
export function npyHeader(array: NpyArray, place: { file: string; array: string }): Uint8Array {
  const kind = Object.entries(DESCRIPTIONS).find(([, datatype]) => datatype === array.datatype)?.[0]
  if (kind === undefined) {
    throw dataError({ ...place, wanted: 'a datatype that NumPy has', given: `it is ${array.datatype}` })
  }
  const count = array.shape.reduce((all, size) => all * size, 1)
  if (count !== array.data.length) {
    const given = `it has ${array.data.length}`
    throw dataError({ ...place, wanted: `${count} elements for shape [${array.shape}]`, given })
  }
  const order = kind.endsWith('1') ? '|' : '<'
  const shape = array.shape.length === 1 ? `(${array.shape[0]},)` : `(${array.shape.join(', ')})`
  const text = `{'descr': '${order}${kind}', 'fortran_order': False, 'shape': ${shape}, }`
  const room = Math.ceil((10 + text.length + 1) / 64) * 64
  const header = Buffer.alloc(room, ' ')
  header.set([...MAGIC, 1, 0])
  header.writeUInt16LE(room - 10, 8)
  header.write(text, 10, 'latin1')
  header[room - 1] = 0x0a
  return header
}
