import { AsyncResource } from 'node:async_hooks'
import { SubtenError } from './errors.js'
import type { ModelEvents } from './types.js'

interface Entry {
  readonly name: keyof ModelEvents
  readonly listener: unknown
  /** Gives what the listener returned: an async one may fail later. */
  readonly run: (event: unknown) => unknown
}

const NAMES: readonly (keyof ModelEvents)[] = ['sla']

/**
 * Listeners of a model. Each runs in the asynchronous context in which it was added; what one throws becomes a warning
 * of the process, and neither stops the others nor what told of the event.
 */
export class ModelListeners {
  readonly #entries: Entry[] = []

  on<E extends keyof ModelEvents>(name: E, listener: (event: ModelEvents[E]) => void, once = false): void {
    check(name, listener)
    const bound = AsyncResource.bind((event: ModelEvents[E]) => listener(event))
    const run = (event: unknown): unknown => {
      if (once) this.off(name, listener)
      return bound(event as ModelEvents[E])
    }
    this.#entries.push({ name, listener, run })
  }

  off<E extends keyof ModelEvents>(name: E, listener: (event: ModelEvents[E]) => void): void {
    check(name, listener)
    const at = this.#entries.findIndex((entry) => entry.name === name && entry.listener === listener)
    if (at >= 0) this.#entries.splice(at, 1)
  }

  emit<E extends keyof ModelEvents>(name: E, event: ModelEvents[E]): void {
    for (const entry of this.#entries.filter((each) => each.name === name)) {
      try {
        const result = entry.run(event)
        if (result instanceof Promise) result.catch((error: unknown) => warn(name, error))
      } catch (error) {
        warn(name, error)
      }
    }
  }
}

function check(name: string, listener: unknown): void {
  if (!(NAMES as readonly string[]).includes(name)) {
    throw new SubtenError('INVALID_INPUT', `a model has no event ${JSON.stringify(name)}`, {
      remedy: `Events are ${NAMES.map((each) => `'${each}'`).join(', ')}.`,
    })
  }
  if (typeof listener !== 'function') {
    throw new SubtenError('INVALID_INPUT', `a listener must be a function, not a ${typeof listener}`)
  }
}

function warn(name: string, error: unknown): void {
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
  process.emitWarning(`a listener of the event '${name}' failed: ${text}`, { code: 'SUBTEN_LISTENER_FAILED' })
}
