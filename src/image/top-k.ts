export interface Ranked {
  readonly index: number
  readonly score: number
}

/** The k largest scores, highest first; equal scores in the order of their index. NaN ranks last. */
export function topK(scores: Float32Array, k: number): Ranked[] {
  const top: Ranked[] = []
  const least = (): number => (top[top.length - 1] as Ranked).score
  for (let index = 0; index < scores.length; index++) {
    const raw = scores[index] as number
    const score = Number.isNaN(raw) ? Number.NEGATIVE_INFINITY : raw
    if (top.length === k && !(score > least())) continue
    let at = top.length
    while (at > 0 && (top[at - 1] as Ranked).score < score) at--
    top.splice(at, 0, { index, score })
    if (top.length > k) top.pop()
  }
  return top
}

/** Scores as probabilities, without overflow. */
export function softmax(logits: Float32Array): Float32Array {
  let max = Number.NEGATIVE_INFINITY
  for (const v of logits) if (v > max) max = v
  const out = new Float32Array(logits.length)
  let sum = 0
  for (let i = 0; i < out.length; i++) {
    const e = Math.exp((logits[i] as number) - max)
    out[i] = e
    sum += e
  }
  return out.map((e) => e / sum)
}
