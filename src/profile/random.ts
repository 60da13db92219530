/** Numbers in [0, 1) that a seed fixes (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

/**
 * A seed for one of several independent uses of the same run (arrival times, choice of inputs, warm-up), so that one use
 * more does not shift the numbers of the others. The mixing is the finalizer of MurmurHash3.
 */
export function derivedSeed(seed: number, use: number): number {
  let h = (seed ^ Math.imul(use, 0x9e3779b1)) >>> 0
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}
