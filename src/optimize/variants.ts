import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import type { ConfigDocument } from '../repository/config-document.js'
import { readConfigFile } from '../repository/config-text.js'
import { CONFIG_FILE, type LocatedModel, locate } from '../repository/repository.js'
import { SubtenError } from '../runtime/errors.js'
import { QuantisedOperators } from './written-precision.js'

/** A model or a variant of it, found on disk. */
export interface FoundModel {
  readonly path: string
  readonly name: string
  /** What `subten.quantization` says; else `INT8` where the file has quantised operators, and `FP32`. */
  readonly precision: string
  readonly located: LocatedModel
  /** Of the files that a version is made of. */
  readonly bytes: number
  /** Of its configuration and its files, hex. */
  readonly sha256: string
}

interface Quantization {
  readonly from?: unknown
  readonly precision?: unknown
}

/**
 * The model and its variants: those that were named, or else those beside it whose parameter `subten.quantization` says
 * that they were made from it.
 *
 * @param named names of folders beside the model, or paths
 * @throws SubtenError MODEL_NOT_FOUND, MODEL_INVALID, CONFIG_INVALID, as `load` does
 */
export async function findVariants(path: string, named?: readonly string[]): Promise<[FoundModel, ...FoundModel[]]> {
  const base = await found(path)
  const folder = dirname(resolve(path))
  const paths = named?.map((name) => (/[\\/]/.test(name) ? name : join(folder, name))) ?? (await siblings(folder, base))
  const variants: FoundModel[] = []
  for (const each of paths) {
    const variant = await found(each)
    if (variant.name === base.name || variants.some(({ name }) => name === variant.name)) {
      throw new SubtenError('CONFIG_INVALID', `two models are named '${variant.name}': ${each} is one of them`, {
        remedy: 'Give each variant a folder with a name of its own.',
      })
    }
    variants.push(variant)
  }
  return [base, ...variants]
}

async function siblings(folder: string, base: FoundModel): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true })
  const found: string[] = []
  for (const entry of entries) {
    if (!entry.isDirectory() || entry.name.startsWith('.') || join(folder, entry.name) === resolve(base.path)) continue
    // A broken neighbour is no concern of this model.
    const document = await readConfigFile(join(folder, entry.name, CONFIG_FILE)).catch(() => undefined)
    if (document !== undefined && quantizationOf(document)?.from === base.name) found.push(join(folder, entry.name))
  }
  return found.sort()
}

/** The parameter `subten.quantization`; undefined where it is not there or is no object. */
export function quantizationOf(document: ConfigDocument): Quantization | undefined {
  const text = document.fields.parameters?.['subten.quantization']?.string_value
  try {
    const value: unknown = JSON.parse(text ?? '')
    return typeof value === 'object' && value !== null ? value : undefined
  } catch {
    return undefined
  }
}

async function found(path: string): Promise<FoundModel> {
  const located = await locate(path)
  const files = await filesOf(located)
  const hash = createHash('sha256')
  const quantised = new QuantisedOperators()
  let bytes = 0
  for (const file of files) {
    const { size } = await stat(file)
    // Names tell apart what the same bytes in another place mean.
    hash.update(`${basename(file)}\0${size}\0`)
    for await (const chunk of createReadStream(file)) {
      hash.update(chunk as Buffer)
      if (file === located.file) quantised.add(chunk as Buffer)
    }
    if (basename(file) !== CONFIG_FILE) bytes += size
  }
  const { precision } = quantizationOf(located.document) ?? {}
  return {
    path,
    name: located.name,
    precision: typeof precision === 'string' ? precision : quantised.found ? 'INT8' : 'FP32',
    located,
    bytes,
    sha256: hash.digest('hex'),
  }
}

/** config.pbtxt and all of the version that is served. */
async function filesOf({ directory, file, version, document }: LocatedModel): Promise<string[]> {
  if (directory === undefined) return file === undefined ? [] : [file]
  const inside = await readdir(join(directory, String(version)), { recursive: true, withFileTypes: true }).catch(
    () => [],
  )
  const all = inside.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  return [...(document.file === undefined ? [] : [document.file]), ...all.sort()]
}
