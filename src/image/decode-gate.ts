import { availableParallelism } from 'node:os'
import { unwatchAbort, watchAbort } from '../runtime/abort.js'
import { SubtenError } from '../runtime/errors.js'

/** When a picture is given up: its caller's signal, and a time by the clock of `performance.now()`. */
export interface Patience {
  readonly signal?: AbortSignal | undefined
  /** Milliseconds; Infinity: never. */
  readonly until: number
}

/** Pictures that may wait; beyond, they are refused with QUEUE_FULL. Each holds its compressed bytes. */
const MOST_WAITING = 4096
/** Threads of libuv that decode: `UV_THREADPOOL_SIZE`, 4 where it is not set. */
const POOL = Math.max(1, Math.min(1024, Number.parseInt(process.env.UV_THREADPOOL_SIZE ?? '', 10) || 4))

/**
 * Pictures decoded at a time in this environment. Each takes a thread of libuv's pool and the memory of its pixels. Not
 * more than there are processors, since decoding is computing; and one thread of the pool stays free, where it has
 * several, since files and names are looked up there as well.
 */
export const DECODES_AT_ONCE = Math.max(1, Math.min(availableParallelism(), POOL - 1))

/** Lets a bounded number in at a time; the others wait in the order in which they came. */
export class DecodeGate {
  readonly #limit: number
  readonly #waiting: Set<() => void> = new Set()
  #inside = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  get waiting(): number {
    return this.#waiting.size
  }

  /**
   * Runs `work` inside. Its place is taken until it has ended, also where the caller gives up before: what libvips has
   * begun goes on, and so does the memory that it takes.
   *
   * @throws the signal's reason; SubtenError DEADLINE_EXCEEDED; QUEUE_FULL where too many wait; what `work` throws
   */
  async run<T>(work: () => Promise<T>, patience: Patience): Promise<T> {
    if (this.#inside < this.#limit && this.#waiting.size === 0) this.#inside++
    else await this.#room(patience)
    const running = (async () => work())()
    const leave = (): void => this.#leave()
    running.then(leave, leave)
    return impatiently(running, patience, 'the deadline passed while the picture was decoded')
  }

  async #room(patience: Patience): Promise<void> {
    if (this.#waiting.size >= MOST_WAITING) {
      throw new SubtenError('QUEUE_FULL', `${MOST_WAITING} pictures wait to be decoded`, {
        remedy: 'Send pictures more slowly, or smaller ones.',
      })
    }
    let enter: () => void = () => {}
    const entered = new Promise<void>((resolve) => {
      enter = resolve
    })
    this.#waiting.add(enter)
    try {
      await impatiently(entered, patience, 'the deadline passed while the picture waited to be decoded')
    } catch (error) {
      // Whoever was let in and gave up in the same turn hands the place on.
      if (!this.#waiting.delete(enter)) this.#leave()
      throw error
    }
  }

  /** The place goes to the first who waits. */
  #leave(): void {
    const [next] = this.#waiting
    if (next === undefined) {
      this.#inside--
      return
    }
    this.#waiting.delete(next)
    next()
  }
}

/** Settles as `work` does, or rejects as soon as the caller has no patience left. */
export function impatiently<T>(work: Promise<T>, { signal, until }: Patience, late: string): Promise<T> {
  if (signal === undefined && until === Number.POSITIVE_INFINITY) return work
  return new Promise<T>((resolve, reject) => {
    let timer: NodeJS.Timeout | undefined
    const target = { abort: (reason: unknown): void => end(() => reject(reason)) }
    const end = (settle: () => void): void => {
      clearTimeout(timer)
      if (signal) unwatchAbort(signal, target)
      settle()
    }
    work.then(
      (value) => end(() => resolve(value)),
      (error: unknown) => end(() => reject(error)),
    )
    if (signal?.aborted) return end(() => reject(signal.reason))
    if (signal) watchAbort(signal, target)
    if (until === Number.POSITIVE_INFINITY) return
    const tooLate = (): void => {
      // Timers count whole milliseconds and may come early.
      const left = until - performance.now()
      if (left > 0) timer = setTimeout(tooLate, Math.min(Math.ceil(left), 2 ** 31 - 1))
      else end(() => reject(new SubtenError('DEADLINE_EXCEEDED', late)))
    }
    tooLate()
  })
}
