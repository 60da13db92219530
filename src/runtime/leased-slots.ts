import type { NativePort } from './binding.js'

/** Slots that the core has lent to this environment, with their generations, and which of them are free. */
export class LeasedSlots {
  readonly #native: NativePort
  readonly #free: number[] = []
  #head = 0
  readonly #generations: Uint32Array
  /** Pairs of slot and generation: what one lease takes at most, a small part of what there is for all ports. */
  readonly #pairs: Uint32Array

  constructor(native: NativePort) {
    this.#native = native
    this.#generations = new Uint32Array(native.slots)
    this.#pairs = new Uint32Array(2 * Math.max(1, Math.min(64, native.slots >> 6)))
  }

  /** A free slot, or -1. First in, first out, so that bursts use neighbours. */
  take(): number {
    if (this.#head === this.#free.length && !this.#lease()) return -1
    const slot = this.#free[this.#head++] as number
    if (this.#head > 4096) {
      this.#free.splice(0, this.#head)
      this.#head = 0
    }
    return slot
  }

  #lease(): boolean {
    this.#free.length = 0
    this.#head = 0
    const count = this.#native.lease(this.#pairs)
    for (let i = 0; i < count; i++) {
      const slot = this.#pairs[2 * i] as number
      this.#generations[slot] = this.#pairs[2 * i + 1] as number
      this.#free.push(slot)
    }
    return count > 0
  }

  /** An idle slot of this environment is free again. */
  put(slot: number): void {
    this.#free.push(slot)
  }

  generation(slot: number): number {
    return this.#generations[slot] as number
  }

  setGeneration(slot: number, generation: number): void {
    this.#generations[slot] = generation
  }

  /** Another environment is out of slots: the free ones go back, in blocks as they were leased. */
  returnFree(): void {
    const pairs = this.#pairs
    do {
      let count = 0
      for (; 2 * count < pairs.length && this.#head < this.#free.length; count++) {
        const slot = this.#free[this.#head++] as number
        pairs[2 * count] = slot
        pairs[2 * count + 1] = this.#generations[slot] as number
      }
      this.#native.giveBack(pairs, count)
    } while (this.#head < this.#free.length)
  }
}
