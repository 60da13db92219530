import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type ImageSpec, imageInputOf, imageSpecOf } from '../image/image-spec.js'
import { preparePicture } from '../image/prepare.js'
import { STORAGE } from '../runtime/datatype.js'
import { SubtenError } from '../runtime/errors.js'
import type { WrittenInput } from '../runtime/inputs.js'
import type { Model, TensorSpec } from '../runtime/types.js'
import { dataError } from './data-error.js'
import { checkRange, classesOf, rowShapeOf, spread } from './row-shape.js'
import type { Dataset } from './types.js'

/** Files that are open at a time. */
const FILES_AT_ONCE = 16

/** A picture, its path from the folder, and the class that the folder's name says. */
interface Found {
  readonly path: string
  readonly label: number | undefined
}

/** A folder of pictures as rows of a model (see `openDataset`). */
export async function openPictures(folder: string, model: Model, limit: number | undefined): Promise<Dataset> {
  const spec = imageSpecOf(model)
  const input = imageInputOf(model)
  const shape = rowShapeOf(model, input)
  const all = await picturesIn(folder, model)
  const found = Array.from(spread(all.length, limit), (index) => all[index] as Found)
  const labelled = found.every(({ label }) => label !== undefined)
  const labels = labelled ? Int32Array.from(found, ({ label }) => label as number) : undefined
  return {
    path: folder,
    count: found.length,
    ...(labels === undefined ? {} : { labels }),
    sha256: await digest(folder, found),
    async rows(from, to) {
      checkRange(folder, found.length, from, to, shape.several)
      const pictures: WrittenInput[] = []
      for (let at = from; at < to; at += FILES_AT_ONCE) {
        const some = found.slice(at, Math.min(to, at + FILES_AT_ONCE))
        pictures.push(...(await Promise.all(some.map(({ path }) => prepared(folder, path, spec, input)))))
      }
      const size = pictures[0]?.bytes as number
      const bytes = new Uint8Array(size * pictures.length)
      for (const [i, { write }] of pictures.entries()) write(bytes.subarray(i * size, (i + 1) * size))
      const { array, bytes: element } = STORAGE[input.datatype]
      const data = new array(bytes.buffer, 0, bytes.length / element)
      const row = [...(pictures[0]?.shape ?? [])].slice(-shape.row.length)
      return { [input.name]: { data, shape: shape.of(to - from, row), datatype: input.datatype } }
    },
  }
}

async function prepared(folder: string, path: string, spec: ImageSpec, input: TensorSpec): Promise<WrittenInput> {
  try {
    return (await preparePicture(await readFile(join(folder, path)), spec, input)).input
  } catch (cause) {
    throw nameFile(cause, path)
  }
}

function nameFile(cause: unknown, path: string): unknown {
  if (!(cause instanceof SubtenError)) return cause
  const { code, message, remedy, details } = cause
  return new SubtenError(code, `${path}: ${message}`, { remedy, cause, details: { ...details, file: path } })
}

/** Every picture below the folder, in the order of its path: the same on every machine. */
async function picturesIn(folder: string, model: Model): Promise<Found[]> {
  const { labels, count } = classesOf(model)
  const entries = await visible(folder)
  const folders = entries.filter((entry) => entry.isDirectory())
  const files = entries.filter((entry) => !entry.isDirectory())
  const [file, sub] = [files[0], folders[0]]
  if (file !== undefined && sub !== undefined) {
    const given = `there are both folders ('${sub.name}') and files ('${file.name}')`
    throw dataError({ file: folder, wanted: 'folders named as labels, or pictures alone', given })
  }
  const found: Found[] = files.map(({ name }) => ({ path: name, label: undefined }))
  for (const { name } of folders) {
    const label = labelOf(name, labels, count)
    if (label === undefined) {
      const known = labels === undefined ? `indices from 0 to ${(count ?? 0) - 1}` : shortList(labels)
      throw dataError({ file: folder, wanted: `folders named ${known}`, given: `there is '${name}'` })
    }
    for (const entry of await visible(join(folder, name))) {
      if (entry.isDirectory()) {
        const given = `there is a folder '${entry.name}'`
        throw dataError({ file: join(folder, name), wanted: 'pictures', given })
      }
      found.push({ path: `${name}/${entry.name}`, label })
    }
  }
  if (found.length === 0) throw dataError({ file: folder, wanted: 'pictures', given: 'there are none' })
  return found
}

/** What is in a folder and not hidden, by name. Links are followed when they are read. */
async function visible(folder: string): Promise<{ name: string; isDirectory(): boolean }[]> {
  const entries = await readdir(folder, { withFileTypes: true })
  const shown = entries.filter(({ name }) => !name.startsWith('.') && name !== 'Thumbs.db' && name !== 'labels.txt')
  return shown.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))
}

/** A label wins over an index: a model of digits may call its first class '1'. */
function labelOf(name: string, labels: readonly string[] | undefined, count: number | undefined): number | undefined {
  const index = labels?.indexOf(name) ?? -1
  if (index >= 0) return index
  return /^\d{1,9}$/.test(name) && Number(name) < (count ?? Number.POSITIVE_INFINITY) ? Number(name) : undefined
}

function shortList(labels: readonly string[]): string {
  const shown = labels.slice(0, 8).map((label) => `'${label}'`)
  return `${shown.join(', ')}${labels.length > shown.length ? `, … (${labels.length})` : ''} or their index`
}

/** Over the files that are used and their classes; what a file is called does not count. */
async function digest(folder: string, found: readonly Found[]): Promise<string> {
  const hash = createHash('sha256')
  for (const { path, label } of found) {
    const bytes = await readFile(join(folder, path))
    hash.update(`${label ?? ''} ${bytes.length}\n`).update(bytes)
  }
  return hash.digest('hex')
}
