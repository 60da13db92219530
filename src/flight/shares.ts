import type { Span } from './timeline.js'

/** How long two times are at once. */
export function overlap(a: Span, b: Span): number {
  return Math.max(0, Math.min(a.end, b.end) - Math.max(a.start, b.start))
}

/**
 * One stage of a request, of which causes take their shares: nothing is given twice, and what nobody takes is left over.
 */
export class Shares {
  #free: Span[]

  constructor(stage: Span) {
    this.#free = stage.end > stage.start ? [stage] : []
  }

  /** What nobody has taken, nanoseconds. */
  get left(): number {
    return this.#free.reduce((sum, { start, end }) => sum + end - start, 0)
  }

  /** Of what is left, how much lies in `span`. */
  within(span: Span): number {
    return this.#free.reduce((sum, free) => sum + overlap(free, span), 0)
  }

  /** Takes what is left of this time; how much that was. */
  take(span: Span): number {
    const taken = this.within(span)
    if (taken === 0) return 0
    this.#free = this.#free.flatMap((free) => {
      if (overlap(free, span) === 0) return [free]
      const pieces: Span[] = []
      if (free.start < span.start) pieces.push({ start: free.start, end: span.start })
      if (free.end > span.end) pieces.push({ start: span.end, end: free.end })
      return pieces
    })
    return taken
  }

  /** Takes at most so many nanoseconds of what is left, whenever they were: how many there were. */
  takeSome(nanoseconds: number): number {
    let wanted = Math.max(0, nanoseconds)
    let taken = 0
    while (wanted > 0) {
      const first = this.#free.shift()
      if (first === undefined) break
      const length = first.end - first.start
      if (length > wanted) this.#free.unshift({ start: first.start + wanted, end: first.end })
      taken += Math.min(length, wanted)
      wanted -= length
    }
    return taken
  }
}
