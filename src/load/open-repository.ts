import '../runtime/dispose.js'
import { readdirSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { suggestion } from '../repository/field-path.js'
import { isInnerPath, isModelName } from '../repository/names.js'
import { type ListedModel, listModels } from '../repository/repository.js'
import { engineCall } from '../runtime/engine-call.js'
import { publishEngineLog } from '../runtime/engine-log.js'
import { SubtenError } from '../runtime/errors.js'
import type { NativeModel } from '../runtime/model.js'
import type {
  LoadOptions,
  Model,
  Repository,
  RepositoryEntry,
  RepositoryLoadOptions,
  RepositoryOptions,
} from '../runtime/types.js'
import { loadModel } from './load.js'
import type { ModelFiles } from './triton.js'
import { checkTritonOptions, foundTriton, serverSettings } from './triton-options.js'

/**
 * Opens a directory of models, Triton's model repository, to load and unload them by name. Nothing is loaded yet.
 *
 * @throws SubtenError MODEL_NOT_FOUND when there is no such directory, CONFIG_INVALID
 */
export async function openRepository(path: string, options: RepositoryOptions = {}): Promise<Repository> {
  if (typeof path !== 'string') throw new SubtenError('INVALID_INPUT', `a repository is a path, not a ${typeof path}`)
  if (typeof options !== 'object' || options === null) {
    throw new SubtenError('CONFIG_INVALID', 'the options of a repository must be an object')
  }
  checkTritonOptions(options.triton)
  return new ModelRepository(resolve(path), options, await listModels(path))
}

/** One model of a repository. */
interface Held {
  readonly name: string
  version: string
  engine: string
  state: RepositoryEntry['state']
  model?: NativeModel
  error?: unknown
  /** The load or unload before the next one. */
  busy: Promise<unknown>
}

class ModelRepository implements Repository {
  readonly path: string
  readonly #options: RepositoryOptions
  readonly #held = new Map<string, Held>()
  #triton: Promise<unknown> | undefined
  #closing: Promise<void> | undefined

  constructor(path: string, options: RepositoryOptions, listed: readonly ListedModel[]) {
    this.path = path
    this.#options = options
    for (const { name, model, error } of listed) {
      const engine = options.engine ?? model?.engine.engine ?? ''
      const version = model === undefined ? '' : String(model.version)
      const state = error === undefined ? 'UNLOADED' : 'UNAVAILABLE'
      this.#held.set(name, { name, version, engine, state, error, busy: Promise.resolve() })
    }
  }

  index(): RepositoryEntry[] {
    this.#rescan()
    const byName = (a: Held, b: Held): number => (a.name < b.name ? -1 : 1)
    return [...this.#held.values()].sort(byName).map((held) => {
      const closed = held.model?.closed === true && held.state === 'READY'
      const reason = closed ? 'closed' : held.error === undefined ? '' : reasonOf(held.error)
      const { name, version, engine } = held
      return { name, version, state: closed ? 'UNLOADED' : held.state, reason, engine }
    })
  }

  async load(name: string, options: RepositoryLoadOptions = {}): Promise<Model> {
    this.#refuseWhenClosed()
    const { config, files, ...rest } = options
    const overrides = checkedConfig(config)
    checkFiles(files)
    const held = this.#find(name)
    return this.#inTurn(held, () => this.#load(held, { ...this.#options, ...rest, ...overrides }, files))
  }

  async #load(held: Held, options: LoadOptions, files: ModelFiles | undefined): Promise<Model> {
    this.#refuseWhenClosed()
    const before = held.model
    const engine = options.engine ?? held.engine
    held.state = 'LOADING'
    try {
      if (engine === 'triton') {
        await this.#startTriton()
        // Triton has a model once: the one before goes first, drained.
        await before?.close()
      }
      const model = await loadModel(join(this.path, held.name), options, files)
      Object.assign(held, { model, version: model.version, engine: model.engine, state: 'READY', error: undefined })
      await before?.close()
      return model
    } catch (error) {
      // The model before goes on, where it was not Triton's.
      const serving = before !== undefined && !before.closed
      held.state = serving ? 'READY' : 'UNAVAILABLE'
      held.error = serving ? undefined : error
      throw error
    }
  }

  model(name: string): Model {
    const held = this.#find(name)
    if (held.state === 'READY' && held.model !== undefined && !held.model.closed) return held.model
    const why = held.error === undefined ? `is ${held.state.toLowerCase()}` : `is unavailable: ${reasonOf(held.error)}`
    throw new SubtenError('MODEL_NOT_FOUND', `model '${name}' of ${this.path} ${why}`, {
      remedy: `Load it first: await repository.load('${name}').`,
      cause: held.error,
    })
  }

  async unload(name: string): Promise<void> {
    const held = this.#find(name)
    await this.#inTurn(held, async () => {
      const { model } = held
      if (model === undefined) return
      await model.close()
      delete held.model
      held.error = undefined
      held.state = 'UNLOADED'
    })
  }

  async metadata(name: string): Promise<object> {
    const model = this.model(name)
    if (model.engine === 'triton') return json(await engineCall('triton', 'metadata', name, model.version))
    const plain = ({ name, datatype, shape }: Model['inputs'][number]): object => ({ name, datatype, shape })
    const platform = String(model.config.platform || model.config.backend || model.engine)
    return {
      name,
      versions: [model.version],
      platform,
      inputs: model.inputs.map(plain),
      outputs: model.outputs.map(plain),
    }
  }

  async config(name: string): Promise<object> {
    const model = this.model(name)
    return model.engine === 'triton' ? json(await engineCall('triton', 'config', name, model.version)) : model.config
  }

  async statistics(name?: string): Promise<object> {
    if (name === undefined) return json(await engineCall('triton', 'statistics', '', ''))
    const model = this.model(name)
    if (model.engine === 'triton') return json(await engineCall('triton', 'statistics', name, model.version))
    throw new SubtenError('NOT_SUPPORTED', `model '${name}' is not Triton's, whose statistics these are`, {
      remedy: 'Use model.stats().',
    })
  }

  async metricsText(): Promise<string> {
    return this.#triton === undefined ? '' : engineCall('triton', 'metrics')
  }

  async live(): Promise<boolean> {
    if (this.#closing !== undefined) return false
    return this.#triton === undefined || (await engineCall('triton', 'live')) === 'true'
  }

  async ready(): Promise<boolean> {
    if (this.#closing !== undefined || [...this.#held.values()].some(({ state }) => state === 'LOADING')) return false
    return this.#triton === undefined || (await engineCall('triton', 'ready')) === 'true'
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    const all = [...this.#held.values()]
    await Promise.allSettled(all.map((held) => held.busy))
    await Promise.all(all.map((held) => held.model?.close()))
    for (const held of all) if (held.model !== undefined) held.state = 'UNLOADED'
    const started = await this.#triton?.then(
      () => true,
      () => false,
    )
    if (started) await engineCall('triton', 'stop')
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** The repository holds the server from its first model of Triton on, so that it lasts between two models. */
  #startTriton(): Promise<unknown> {
    const options = this.#options
    const start = async (): Promise<void> => {
      const files = foundTriton(options)
      const settings = serverSettings(checkTritonOptions(options.triton), files)
      const lines = [['repository', this.path] as const, ...settings].flatMap(([key, value]) =>
        value.split('\n').map((line) => `${key}=${line}`),
      )
      publishEngineLog()
      await engineCall('triton', 'start', lines.join('\n'), files.library)
    }
    this.#triton ??= start().catch((error: unknown) => {
      this.#triton = undefined
      throw error
    })
    return this.#triton
  }

  /** One load or unload of a model after another. */
  #inTurn<T>(held: Held, run: () => Promise<T>): Promise<T> {
    const turn = held.busy.then(run)
    held.busy = turn.catch(() => {})
    return turn
  }

  #find(name: string): Held {
    this.#rescan()
    const held = this.#held.get(name)
    if (held !== undefined) return held
    const near = suggestion(String(name), this.#held.keys())
    throw new SubtenError('MODEL_NOT_FOUND', `there is no model '${name}' in ${this.path}${near}`, {
      remedy: 'repository.index() lists the models that are there.',
    })
  }

  /** Directories may come and go while the repository is open. */
  #rescan(): void {
    const found = new Set(directoriesOf(this.path))
    for (const name of found) {
      if (this.#held.has(name)) continue
      const engine = this.#options.engine ?? ''
      this.#held.set(name, { name, version: '', engine, state: 'UNLOADED', busy: Promise.resolve() })
    }
    for (const { name, state, model } of this.#held.values()) {
      if (!found.has(name) && model === undefined && state !== 'LOADING') this.#held.delete(name)
    }
  }

  #refuseWhenClosed(): void {
    if (this.#closing !== undefined) throw new SubtenError('MODEL_CLOSED', `the repository ${this.path} is closed`)
  }
}

function directoriesOf(path: string): string[] {
  try {
    const entries = readdirSync(path).filter((name) => !name.startsWith('.') && isModelName(name))
    return entries.filter((name) => statSync(join(path, name), { throwIfNoEntry: false })?.isDirectory() === true)
  } catch {
    return [] // the directory has gone
  }
}

function checkedConfig(config: unknown): Record<string, unknown> {
  if (config === undefined) return {}
  if (typeof config === 'object' && config !== null && !Array.isArray(config)) return config as Record<string, unknown>
  throw new SubtenError('CONFIG_INVALID', 'options: config: must be an object of settings of config.pbtxt', {
    details: { field: 'config' },
  })
}

function checkFiles(files: unknown): void {
  if (files === undefined) return
  const wrong = (field: string, problem: string): SubtenError =>
    new SubtenError('CONFIG_INVALID', `options: ${field}: ${problem}`, { details: { field } })
  if (typeof files !== 'object' || files === null || Array.isArray(files)) {
    throw wrong('files', 'must be an object of paths and their bytes')
  }
  for (const [path, bytes] of Object.entries(files)) {
    if (!isInnerPath(path)) throw wrong(`files.${path}`, 'must be a path inside the directory of the model')
    if (!(bytes instanceof Uint8Array)) throw wrong(`files.${path}`, 'must be a Uint8Array')
  }
}

function json(text: string): object {
  return JSON.parse(text) as object
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
