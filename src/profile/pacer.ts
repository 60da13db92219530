import { setTimeout as sleep } from 'node:timers/promises'
import { addon } from '../runtime/binding.js'

/**
 * Waits for a moment to some tens of microseconds without keeping a processor busy. Timers of Node are 1 ms grained, turns
 * of the event loop until the moment has come take a processor from what is measured, and a second thread that sleeps
 * exactly costs a second wake: with it twice as many sends of 500 a second were more than 1 ms late on two processors.
 * Here the loop itself polls a timer of the kernel.
 */
export class Pacer {
  readonly #timer: { arm(microseconds: number): void; close(): void } | undefined
  #wake: (() => void) | undefined

  constructor() {
    const timer = addon().loopTimer?.(() => this.#wake?.())
    this.#timer = typeof timer === 'object' ? timer : undefined
  }

  /** Resolves `ms` from now, or a little later. One wait at a time. */
  wait(ms: number): Promise<void> {
    if (!this.#timer) return coarseWait(ms)
    return new Promise((resolve) => {
      this.#wake = resolve
      this.#timer?.arm(ms * 1000)
    })
  }

  close(): void {
    this.#timer?.close()
  }
}

/** With the timers of Node: the last of it is waited for by turns of the event loop. */
export async function coarseWait(ms: number): Promise<void> {
  if (ms > 2) await sleep(Math.floor(ms) - 1)
  else await new Promise((resolve) => setImmediate(resolve))
}
