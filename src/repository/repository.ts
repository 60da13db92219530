import type { Dirent } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { basename, dirname, extname, join, resolve } from 'node:path'
import { SubtenError } from '../runtime/errors.js'
import { type ConfigDocument, configError, documentError, emptyConfig } from './config-document.js'
import { readConfigFile } from './config-text.js'
import { containedPath } from './contained-path.js'
import { backendOfExtension, chooseEngine, type EngineChoice, loneFileExtensions } from './engines.js'
import { suggestion } from './field-path.js'
import { resolveConfig } from './model-config.js'
import { isModelName } from './names.js'
import { applyOverrides, type ConfigOverrides } from './overrides.js'
import { findVersions, selectVersions } from './versions.js'

/** Name of the configuration file in a model directory. */
export const CONFIG_FILE = 'config.pbtxt'

export interface LocateOptions {
  /** The version to take; by default the highest that the version policy serves. */
  version?: number | string
  /** config.pbtxt settings from the options of `load`. */
  overrides?: ConfigOverrides
}

/** A model found on disk, not opened yet. */
export interface LocatedModel {
  readonly name: string
  readonly version: number
  /** The versions that the version policy serves, lowest first. */
  readonly versions: readonly number[]
  readonly engine: EngineChoice
  /** The model's directory, absolute; undefined for a lone file. */
  readonly directory?: string
  /** The model file, links resolved; undefined for an engine that reads none or chooses it itself. */
  readonly file?: string
  /** What is written about it, overrides applied, nothing completed yet. */
  readonly document: ConfigDocument
}

/** One entry of a repository: a model, or why it is none. */
export type ListedModel =
  | { readonly name: string; readonly model: LocatedModel; readonly error?: undefined }
  | { readonly name: string; readonly model?: undefined; readonly error: SubtenError }

/**
 * Finds a model: a directory in Triton's layout (`config.pbtxt` optional, versions in numbered directories) or one
 * model file.
 * @throws SubtenError MODEL_NOT_FOUND (with what was looked for and what is there), MODEL_INVALID, CONFIG_INVALID
 */
export async function locate(path: string, options: LocateOptions = {}): Promise<LocatedModel> {
  const status = await stat(path).catch(() => undefined)
  if (status === undefined) throw await notThere(path)
  return status.isDirectory() ? locateDirectory(path, options) : locateFile(path, options)
}

/**
 * Lists the models of a repository directory, by name. Hidden directories and stray files are passed over; a model that
 * cannot be used is listed with its error.
 * @throws SubtenError MODEL_NOT_FOUND when there is no such directory
 */
export async function listModels(repository: string): Promise<ListedModel[]> {
  const entries = await readdir(repository, { withFileTypes: true }).catch((cause: unknown) => {
    throw new SubtenError('MODEL_NOT_FOUND', `there is no model repository at ${repository}`, {
      cause,
      remedy: 'Give a directory that holds one directory for each model.',
    })
  })
  const directories: string[] = []
  for (const entry of entries) {
    if (!entry.name.startsWith('.') && (await isDirectory(repository, entry))) directories.push(entry.name)
  }
  return Promise.all(
    directories.sort().map(async (name): Promise<ListedModel> => {
      try {
        return { name, model: await locate(join(repository, name)) }
      } catch (error) {
        if (error instanceof SubtenError) return { name, error }
        const problem = `cannot be read: ${error instanceof Error ? error.message : String(error)}`
        return {
          name,
          error: new SubtenError('MODEL_INVALID', `${join(repository, name)}: ${problem}`, { cause: error }),
        }
      }
    }),
  )
}

/**
 * The file that a warm-up sample names: `<model>/warmup/<name>`.
 * @throws SubtenError CONFIG_INVALID when it is missing or leads out of the model's directory
 */
export async function warmupFile(
  directory: string,
  name: string,
  origin: { file?: string; line?: number },
): Promise<string> {
  const fail = (problem: string): never => {
    throw configError({ file: join(directory, CONFIG_FILE), ...origin }, ['model_warmup'], problem)
  }
  const file = await containedPath(directory, `warmup/${name}`, () =>
    fail(`"${name}" leads out of the model directory`),
  )
  return file ?? fail(`there is no file "warmup/${name}" in the model directory`)
}

async function locateFile(path: string, options: LocateOptions): Promise<LocatedModel> {
  const extension = extname(path).toLowerCase()
  const backend = backendOfExtension(extension)
  if (backend === undefined) {
    throw new SubtenError('MODEL_INVALID', `${path} is not a model file that can be loaded alone`, {
      remedy: `Give a model directory, or a file that ends in ${loneFileExtensions().join(', ')}.`,
    })
  }
  if (options.version !== undefined && versionNumber(options.version) !== 1) {
    throw new SubtenError('MODEL_NOT_FOUND', `${path} is one file and has only version 1, not ${options.version}`)
  }
  const document = applyOverrides(emptyConfig(), options.overrides ?? {})
  const engine = chooseEngine({ backend, ...document.fields }, [])
  const name = basename(path, extname(path)).replace(/[^\w.-]/g, '_')
  resolveConfig(document, { partial: true })
  return {
    name: document.fields.name || (isModelName(name) ? name : 'model'),
    version: 1,
    versions: [1],
    engine: { ...(engine as EngineChoice), filename: basename(path) },
    file: resolve(path),
    document,
  }
}

async function locateDirectory(path: string, options: LocateOptions): Promise<LocatedModel> {
  const directory = resolve(path)
  const name = basename(directory)
  const read = await readConfigFile(join(path, CONFIG_FILE))
  const existing = await findVersions(directory)
  if (read === undefined && existing.length === 0) throw await notAModel(path)
  if (!isModelName(name)) {
    throw new SubtenError('MODEL_INVALID', `the directory name "${name}" cannot be a model name`, {
      remedy: 'Rename the directory; letters, digits, ".", "_" and "-" are allowed.',
    })
  }
  const document = applyOverrides(read ?? emptyConfig(), options.overrides ?? {})
  const config = resolveConfig(document, { modelName: name, partial: true })
  const served = selectVersions(existing, config.version_policy)
  const version = chooseVersion(path, existing, served, options.version)
  const files = version === undefined ? [] : await readdir(join(directory, String(version)))
  const engine = chooseEngine(document.fields, files)
  if (engine === undefined) throw noEngine(path, document, files)
  const found = { name, engine, directory, document }
  if (version === undefined) {
    if (engine.engine === 'null' && existing.length === 0 && options.version === undefined) {
      return { ...found, version: 1, versions: [1] }
    }
    throw noVersion(path, existing, document)
  }
  if (engine.filename === '' || engine.engine === 'null') return { ...found, version, versions: served }
  const file = await modelFile(path, directory, version, engine.filename, document, files)
  return { ...found, version, versions: served, file }
}

function versionNumber(version: number | string): number {
  return /^[1-9]\d*$/.test(String(version)) ? Number(version) : Number.NaN
}

/** An explicit version may be one that the policy does not serve, but it must exist. */
function chooseVersion(
  path: string,
  existing: readonly number[],
  served: readonly number[],
  wanted: number | string | undefined,
): number | undefined {
  if (wanted === undefined) return served.at(-1)
  const version = versionNumber(wanted)
  if (existing.includes(version) || existing.length === 0) return existing.length === 0 ? undefined : version
  throw new SubtenError(
    'MODEL_NOT_FOUND',
    `${path} has no version ${wanted}; its versions are ${existing.join(', ')}`,
    {
      details: { path, version: wanted, versions: [...existing] },
    },
  )
}

function noVersion(path: string, existing: readonly number[], document: ConfigDocument): SubtenError {
  const wanted = document.fields.version_policy?.specific?.versions
  if (existing.length > 0 && wanted) {
    const message = `${path}: version_policy asks for ${wanted.join(', ')}, but the versions are ${existing.join(', ')}`
    return new SubtenError('MODEL_NOT_FOUND', message, { details: { path, versions: [...existing] } })
  }
  return new SubtenError('MODEL_NOT_FOUND', `${path} has no version directory`, {
    remedy: `Put the model file in ${join(path, '1')}.`,
    details: { path, versions: [] },
  })
}

function noEngine(path: string, document: ConfigDocument, files: readonly string[]): SubtenError {
  const held = files.length === 0 ? 'no files' : files.slice(0, 8).join(', ')
  const message = `nothing tells which engine runs ${path}: no backend is given and its version directory holds ${held}`
  const remedy = 'Name the model file model.onnx, or set backend in config.pbtxt.'
  if (document.file !== undefined) return documentError(document, ['backend'], message, remedy)
  return new SubtenError('MODEL_INVALID', message, { remedy })
}

async function modelFile(
  path: string,
  directory: string,
  version: number,
  filename: string,
  document: ConfigDocument,
  files: readonly string[],
): Promise<string> {
  const file = await containedPath(directory, `${version}/${filename}`, () => {
    throw documentError(document, ['default_model_filename'], `"${filename}" leads out of the model directory`)
  })
  if (file !== undefined) return file
  const held = files.length === 0 ? 'is empty' : `holds ${files.slice(0, 8).join(', ')}`
  throw new SubtenError(
    'MODEL_NOT_FOUND',
    `there is no ${join(path, String(version), filename)}; the directory ${held}`,
    {
      remedy: `Name the file ${filename}, or set default_model_filename in config.pbtxt.`,
      details: { path, version, file: filename },
    },
  )
}

async function notThere(path: string): Promise<SubtenError> {
  const siblings = await readdir(dirname(path)).catch(() => [])
  return new SubtenError('MODEL_NOT_FOUND', `there is no model at ${path}${suggestion(basename(path), siblings)}`, {
    details: { path },
  })
}

async function notAModel(path: string): Promise<SubtenError> {
  const names = await readdir(path).catch(() => [])
  const models = names.filter((name) => backendOfExtension(extname(name).toLowerCase()) !== undefined)
  const remedy = models[0]
    ? `Give the file itself (${join(path, models[0])}), or the directory of the model around it.`
    : 'Give the directory of one model; `subten serve --models DIR` takes a directory of many.'
  return new SubtenError(
    'MODEL_NOT_FOUND',
    `${path} is not a model: it has neither ${CONFIG_FILE} nor a version directory`,
    {
      remedy,
      details: { path },
    },
  )
}

async function isDirectory(parent: string, entry: Dirent): Promise<boolean> {
  if (!entry.isSymbolicLink()) return entry.isDirectory()
  const status = await stat(join(parent, entry.name)).catch(() => undefined)
  return status?.isDirectory() ?? false
}
