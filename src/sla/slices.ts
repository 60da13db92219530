import { NO_EVENTS, plus } from './budget.js'
import type { EventCounts, Slices } from './types.js'

/**
 * Turns events into slices of time, for the budgeting methods Timeslices and RatioTimeslices of OpenSLO v1: a slice is one
 * event of the objective. With a `target` it is good when at least that share of its own events is; without one it counts
 * as the share of its events that are good. A slice in which nothing happened, or nothing that counts, is no event.
 *
 * Slices begin at multiples of their length on the timeline. One that is not over is in nobody's counts yet, and is lost
 * with the process.
 */
export class SliceCounter {
  readonly #slices: Slices
  #number = Number.NEGATIVE_INFINITY
  #events = NO_EVENTS

  constructor(slices: Slices) {
    this.#slices = slices
  }

  /** Adds events of `at` (timeline, never before an earlier one); returns the slice that they ended, or nothing. */
  add(at: number, events: EventCounts): EventCounts {
    // They came before `at`: what is counted when a slice ends belongs to it.
    const number = Math.floor((at - 1) / this.#slices.ms)
    const ended = number > this.#number ? this.#end() : NO_EVENTS
    this.#number = Math.max(number, this.#number)
    this.#events = plus(this.#events, events)
    return ended
  }

  #end(): EventCounts {
    const { good, total, excluded } = this.#events
    this.#events = NO_EVENTS
    if (total === 0) return excluded > 0 ? { good: 0, total: 0, excluded: 1 } : NO_EVENTS
    const { target } = this.#slices
    const share = good / total
    // 0.95 of 20 is 19, whatever the last bit of the quotient says.
    return { good: target === undefined ? share : share >= target - 1e-12 ? 1 : 0, total: 1, excluded: 0 }
  }
}
