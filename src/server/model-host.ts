import { SubtenError } from '../runtime/errors.js'
import type { Model } from '../runtime/types.js'
import { quoted } from './problem.js'

export type ModelState = 'READY' | 'LOADING' | 'UNAVAILABLE'

/** One row of Triton's repository index. */
export interface IndexEntry {
  readonly name: string
  readonly version: string
  readonly state: ModelState
  readonly reason: string
}

/** A model to load: its name in URLs, its version where known before, and how to load it. */
export interface ModelSource {
  readonly name: string
  readonly version?: string
  /** Rejects with the reason why the model is unavailable. */
  load(): Promise<Model>
}

interface Held {
  readonly name: string
  version: string
  state: ModelState
  model?: Model
  error?: unknown
}

/** The models a server answers for. One that cannot be loaded is listed with its reason, and disturbs no other. */
export class ModelHost {
  readonly #held: Held[] = []
  readonly #loading: Promise<void>[] = []

  /**
   * Loads every source, at once or when `after` has resolved; {@link settled} tells when all have ended. Where `after`
   * rejects nothing is loaded: its reason is that of every model.
   */
  constructor(sources: readonly ModelSource[], after?: Promise<unknown>) {
    for (const source of sources) {
      const held: Held = { name: source.name, version: source.version ?? '', state: 'LOADING' }
      this.#held.push(held)
      this.#loading.push(this.#load(source, held, after))
    }
  }

  /** A host of models that are loaded already. */
  static of(...models: readonly Model[]): ModelHost {
    return new ModelHost(models.map((m) => ({ name: m.name, version: m.version, load: () => Promise.resolve(m) })))
  }

  async #load(source: ModelSource, held: Held, after: Promise<unknown> | undefined): Promise<void> {
    try {
      if (after !== undefined) await after
      held.model = await source.load()
      held.version = held.model.version
      held.state = 'READY'
    } catch (error) {
      held.error = error
      held.state = 'UNAVAILABLE'
    }
  }

  /** When every model has been loaded or has failed. */
  async settled(): Promise<void> {
    await Promise.all(this.#loading)
  }

  /** Nothing is loading any more; models that failed do not count. */
  get ready(): boolean {
    return this.#held.every((held) => held.state !== 'LOADING')
  }

  /** The models that can be asked, in the order of the repository. */
  models(): Model[] {
    return this.#held.flatMap((held) =>
      held.state === 'READY' && held.model && !held.model.closed ? [held.model] : [],
    )
  }

  index(): IndexEntry[] {
    return this.#held.map((held) => {
      const closed = held.model?.closed === true
      const reason = closed ? 'closed' : held.error === undefined ? '' : reasonOf(held.error)
      return { name: held.name, version: held.version, state: closed ? 'UNAVAILABLE' : held.state, reason }
    })
  }

  /** Versions of a model that are served, lowest first. */
  versions(name: string): string[] {
    const ready = this.models().filter((model) => model.name === name)
    return ready.map((model) => model.version).sort((a, b) => Number(a) - Number(b))
  }

  /** The model, in its highest version when none is named. Throws MODEL_NOT_FOUND, or why it is unavailable. */
  get(name: string, version?: string): Model {
    const named = this.#held.filter((held) => held.name === name)
    if (named.length === 0) throw new SubtenError('MODEL_NOT_FOUND', `there is no model ${quoted(name)} here`)
    const wanted = version === undefined ? named : named.filter((held) => held.version === version)
    const ready = wanted
      .filter((held) => held.state === 'READY')
      .sort((a, b) => Number(b.version) - Number(a.version))[0]
    if (ready?.model) return ready.model
    // A model that failed to load has no version yet: its reason answers for every version.
    const failed = (wanted.length > 0 ? wanted : named.filter((held) => held.version === '')).find((held) => held.error)
    if (failed) throw unavailable(failed)
    if (wanted.some((held) => held.state === 'LOADING') || named.every((held) => held.state === 'LOADING')) {
      const remedy = 'Ask again when /v2/health/ready answers 200.'
      throw new SubtenError('MODEL_CLOSED', `model ${quoted(name)} is still loading`, { remedy })
    }
    throw new SubtenError('MODEL_NOT_FOUND', `model ${quoted(name)} has no version ${quoted(version ?? '')} here`)
  }

  async close(): Promise<void> {
    await this.settled()
    await Promise.all(this.#held.map((held) => held.model?.close()))
  }
}

/** The server is at fault, not the request: a config or a model file that is wrong answers 503 as Triton's index would. */
function unavailable(held: Held): SubtenError {
  const { error } = held
  const message = `model ${quoted(held.name)} is unavailable: ${reasonOf(error)}`
  if (!(error instanceof SubtenError)) return new SubtenError('MODEL_INVALID', message, { details: { http: 503 } })
  return new SubtenError(error.code, message, { remedy: error.remedy, cause: error, details: { http: 503 } })
}

function reasonOf(error: unknown): string {
  if (error instanceof SubtenError) return error.message
  return error instanceof Error ? error.message : String(error)
}
