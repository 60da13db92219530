/** A seeded source of numbers (mulberry32): the same seed makes the same choices. */
export class Random {
  #state

  constructor(seed) {
    this.#state = seed >>> 0
  }

  word() {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let t = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return (t ^ (t >>> 14)) >>> 0
  }

  /** A whole number below `limit`. */
  below(limit) {
    return this.word() % limit
  }

  /** True once in `n` times. */
  oneIn(n) {
    return this.below(n) === 0
  }

  pick(list) {
    return list[this.below(list.length)]
  }
}

/** Mixes numbers to a 32-bit word: seeds of parts, words of payloads. */
export function mix(a, b) {
  let t = Math.imul(a ^ (b + 0x9e3779b9), 0x85ebca6b)
  t = Math.imul(t ^ (t >>> 13), 0xc2b2ae35)
  return (t ^ (t >>> 16)) >>> 0
}
