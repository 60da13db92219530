import { randomUUID } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { promisify } from 'node:util'
import { crc32 } from 'node:zlib'
import yauzl from 'yauzl'
import yazl from 'yazl'
import { STORAGE } from '../runtime/datatype.js'
import { SubtenError } from '../runtime/errors.js'
import { dataError } from './data-error.js'
import { type NpyArray, type NpyHeader, npyElements, npyHeader, readNpyHeader } from './npy.js'

export type { NpyArray } from './npy.js'

/** What one .npz may take. */
export interface NpzLimits {
  /** Arrays in the file. */
  readonly arrays: number
  /** Bytes of all arrays, inflated. */
  readonly bytes: number
}

export const NPZ_LIMITS: NpzLimits = { arrays: 1024, bytes: 4 * 1024 ** 3 }

/** Deflate makes at most 1032 bytes of one: a file that promises more is lying, and no memory is taken for it. */
const MOST_INFLATED = 1032
const ENDING = '.npy'

const openZip = promisify<string, yauzl.Options, yauzl.ZipFile>(yauzl.open)

/**
 * Reads the arrays of an .npz, as `numpy.savez` and `numpy.savez_compressed` write it: a zip of .npy files. Checksums are
 * checked. Other files in the zip are passed over.
 *
 * @returns the arrays by name (without `.npy`), in the order of the file
 * @throws SubtenError INVALID_INPUT naming file, array, what was wanted and what was given: no file, no zip, damaged,
 *   truncated, larger than `limits`, in Fortran order, objects, big-endian
 */
export async function readNpz(file: string, limits: NpzLimits = NPZ_LIMITS): Promise<Map<string, NpyArray>> {
  let zip: yauzl.ZipFile
  try {
    zip = await openZip(file, { lazyEntries: true, autoClose: false })
  } catch (cause) {
    throw dataError({ file, wanted: 'an .npz file', given: reasonOf(cause), cause })
  }
  try {
    const arrays = new Map<string, NpyArray>()
    let left = limits.bytes
    for await (const entry of entriesOf(zip, file)) {
      if (!entry.fileName.endsWith(ENDING)) continue
      const array = entry.fileName.slice(0, -ENDING.length)
      if (arrays.has(array)) throw dataError({ file, array, wanted: 'one array of a name', given: 'there are two' })
      if (arrays.size === limits.arrays) {
        throw dataError({ file, wanted: `at most ${limits.arrays} arrays`, given: 'there are more' })
      }
      const read = await readEntry(zip, entry, { file, array }, left)
      left -= read.data.byteLength
      arrays.set(array, read)
    }
    return arrays
  } finally {
    zip.close()
  }
}

/** The entries of the zip's directory, one at a time. */
async function* entriesOf(zip: yauzl.ZipFile, file: string): AsyncGenerator<yauzl.Entry> {
  for (;;) {
    const entry = await new Promise<yauzl.Entry | undefined>((resolve, reject) => {
      const settle = (end: () => void) => (): void => {
        zip.off('entry', onEntry)
        zip.off('end', onEnd)
        zip.off('error', onError)
        end()
      }
      const onEntry = (found: yauzl.Entry): void => settle(() => resolve(found))()
      const onEnd = settle(() => resolve(undefined))
      const onError = (cause: unknown): void =>
        settle(() => reject(dataError({ file, wanted: 'a complete zip', given: reasonOf(cause), cause })))()
      zip.on('entry', onEntry).on('end', onEnd).on('error', onError)
      zip.readEntry()
    })
    if (entry === undefined) return
    yield entry
  }
}

type Place = { readonly file: string; readonly array: string }

async function readEntry(zip: yauzl.ZipFile, entry: yauzl.Entry, place: Place, room: number): Promise<NpyArray> {
  const promised = entry.uncompressedSize
  if (promised > entry.compressedSize * MOST_INFLATED + 64) {
    const given = `the zip says ${promised} from ${entry.compressedSize}, more than deflate can make of them`
    throw dataError({ ...place, wanted: 'the size of the array', given })
  }
  const stream = await openEntry(zip, entry, place)
  try {
    return await readArray(stream, entry, place, room)
  } catch (cause) {
    if (cause instanceof SubtenError) throw cause
    throw dataError({ ...place, wanted: 'a complete array', given: reasonOf(cause), cause })
  } finally {
    stream.destroy()
  }
}

function openEntry(zip: yauzl.ZipFile, entry: yauzl.Entry, place: Place): Promise<Readable> {
  return new Promise((resolve, reject) => {
    const refuse = (cause: unknown): void =>
      reject(dataError({ ...place, wanted: 'a stored or deflated array', given: reasonOf(cause), cause }))
    try {
      zip.openReadStream(entry, (error, stream) => (error ? refuse(error) : resolve(stream)))
    } catch (error) {
      refuse(error)
    }
  })
}

async function readArray(stream: Readable, entry: yauzl.Entry, place: Place, room: number): Promise<NpyArray> {
  let head: Uint8Array = new Uint8Array(0)
  let header: NpyHeader | undefined
  let bytes = new Uint8Array(0)
  let filled = 0
  let sum = 0
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    sum = crc32(chunk, sum)
    let elements: Uint8Array = chunk
    if (header === undefined) {
      head = Buffer.concat([head, chunk])
      header = readNpyHeader(head, place)
      if (header === undefined) continue
      bytes = allocate(header, entry.uncompressedSize, place, room)
      elements = head.subarray(header.start)
    }
    bytes.set(elements, filled) // never beyond: the zip's own size is the header's, and the zip is held to it
    filled += elements.length
  }
  if (header === undefined || filled !== bytes.length) {
    const given = header === undefined ? 'it ends within its header' : `it ends after ${filled}`
    throw dataError({ ...place, wanted: `${bytes.length || 'a complete array of'} bytes`, given })
  }
  if (sum !== entry.crc32) {
    throw dataError({ ...place, wanted: 'undamaged bytes', given: 'their checksum is another than the zip says' })
  }
  return { datatype: header.datatype, shape: header.shape, data: npyElements(header.datatype, bytes.buffer) }
}

/** Room for the elements, once the header, the size in the zip and the limit agree. */
function allocate(header: NpyHeader, promised: number, place: Place, room: number): Uint8Array<ArrayBuffer> {
  const size = header.count * STORAGE[header.datatype].bytes
  const shape = `${header.datatype} [${header.shape}]`
  if (promised !== header.start + size) {
    const given = `there are ${promised - header.start}`
    throw dataError({ ...place, wanted: `${size} bytes of elements for ${shape}`, given })
  }
  if (size > room) {
    const remedy = 'Split the data into several files.'
    throw dataError({ ...place, wanted: `at most ${room} bytes more`, given: `${shape} has ${size}`, remedy })
  }
  try {
    return new Uint8Array(size)
  } catch (cause) {
    throw new SubtenError('OUT_OF_MEMORY', `${place.file}: array '${place.array}' takes ${size} bytes`, { cause })
  }
}

function reasonOf(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause)
  const { code } = cause as NodeJS.ErrnoException
  if (code === 'ENOENT') return 'there is no such file'
  if (code === 'EISDIR') return 'it is a folder'
  return `it cannot be read (${cause.message})`
}

/**
 * Writes arrays as an .npz that `numpy.load` reads. The file is there whole or not at all. Deflated; equal arrays make
 * equal files.
 *
 * @throws SubtenError INVALID_INPUT: a name that is no file name, BF16, strings
 */
export async function writeNpz(file: string, arrays: Readonly<Record<string, NpyArray>>): Promise<void> {
  const zip = new yazl.ZipFile()
  for (const [array, value] of Object.entries(arrays)) {
    const place = { file, array }
    if (array === '' || array.length > 255 || /[/\\\0]|^\.+$/.test(array)) {
      throw dataError({ ...place, wanted: 'a name without slashes', given: 'it is none' })
    }
    const { buffer, byteOffset, byteLength } = value.data
    const elements = Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength)
    zip.addBuffer(Buffer.concat([npyHeader(value, place), elements]), `${array}${ENDING}`, { mtime: EPOCH })
  }
  zip.end()
  const unfinished = `${file}.${randomUUID()}.tmp`
  try {
    await pipeline(zip.outputStream, createWriteStream(unfinished, { flags: 'wx' }))
    await rename(unfinished, file)
  } finally {
    await rm(unfinished, { force: true })
  }
}

/** The first day that a zip can tell. */
const EPOCH = new Date(1980, 0, 1)
