import { unwatchAbort, watchAbort } from './abort.js'
import { budgetLeft } from './deadline.js'
import { SubtenError } from './errors.js'
import type { ClaimOptions, Slot } from './types.js'

/** Room may come from other environments or from requests that end, of which nothing is heard here. */
const RETRY_MS = 1

/**
 * Those who wait for a slot, served in the order in which they came: one turn for each slot that becomes free, however
 * many wait.
 */
export class ClaimQueue {
  readonly #take: (options: ClaimOptions) => Slot | null
  readonly #waiting: Set<Waiter> = new Set()
  #timer: NodeJS.Timeout | undefined

  /** @param take a slot, or null where there is none; it may throw */
  constructor(take: (options: ClaimOptions) => Slot | null) {
    this.#take = take
  }

  get size(): number {
    return this.#waiting.size
  }

  /** Rejects with the signal's reason, DEADLINE_EXCEEDED of `withDeadline`, or what `take` throws. */
  wait(options: ClaimOptions): Promise<Slot> {
    return new Promise((resolve, reject) => {
      const waiter = new Waiter(options, resolve, reject, (gone) => this.#waiting.delete(gone))
      this.#waiting.add(waiter)
      this.#retryLater()
    })
  }

  /** Gives what is free to those who came first. */
  serve(): void {
    for (const waiter of this.#waiting) {
      let slot: Slot | null
      try {
        slot = this.#take(waiter.options)
      } catch (error) {
        waiter.reject(error)
        continue
      }
      if (slot === null) break
      waiter.resolve(slot)
    }
    this.#retryLater()
  }

  #retryLater(): void {
    if (this.#waiting.size === 0) {
      clearTimeout(this.#timer)
      this.#timer = undefined
      return
    }
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      this.serve()
    }, RETRY_MS)
  }
}

class Waiter {
  readonly options: ClaimOptions
  readonly #resolve: (slot: Slot) => void
  readonly #reject: (error: unknown) => void
  readonly #leave: (self: Waiter) => void
  #timer: NodeJS.Timeout | undefined

  constructor(
    options: ClaimOptions,
    resolve: (slot: Slot) => void,
    reject: (error: unknown) => void,
    leave: (self: Waiter) => void,
  ) {
    this.options = options
    this.#resolve = resolve
    this.#reject = reject
    this.#leave = leave
    if (options.signal) watchAbort(options.signal, this)
    // Of withDeadline, in whose context this runs: a claim has no deadline of its own.
    const left = budgetLeft(undefined)
    if (left >= 0) this.#timer = setTimeout(() => this.reject(tooLate()), Math.min(left, 2 ** 31 - 1))
  }

  abort(reason: unknown): void {
    this.reject(reason)
  }

  resolve(slot: Slot): void {
    this.#end()
    this.#resolve(slot)
  }

  reject(error: unknown): void {
    this.#end()
    this.#reject(error)
  }

  #end(): void {
    clearTimeout(this.#timer)
    if (this.options.signal) unwatchAbort(this.options.signal, this)
    this.#leave(this)
  }
}

export function tooLate(): SubtenError {
  return new SubtenError('DEADLINE_EXCEEDED', 'the deadline passed before there was a free slot')
}
