/** Where the time comes from; tests give their own. */
export interface Clock {
  /** Milliseconds since the epoch; may jump. */
  wall(): number
  /** Milliseconds since some moment; never jumps, stands still while the machine sleeps. */
  monotonic(): number
}

export const SYSTEM_CLOCK: Clock = { wall: () => Date.now(), monotonic: () => performance.now() }

/**
 * The time by which events are counted: the wall clock, but never backwards.
 *
 * A wall clock that jumps forward (it was set, or the machine slept) is followed at once: windows age by the jump. One
 * that jumps backwards is not: time goes on at the pace of the monotonic clock, so that no window grows, no event is
 * counted twice and no alert stands still, until the wall clock has caught up. {@link wall} gives the wall's time of a
 * moment on the timeline, for what people write down in it: calendar windows, maintenance, the state file.
 */
export class Timeline {
  readonly #clock: Clock
  #last: number
  #monotonic: number
  #ahead = 0

  /** `notBefore`: where the timeline of the process before had come to. */
  constructor(clock: Clock = SYSTEM_CLOCK, notBefore = Number.NEGATIVE_INFINITY) {
    this.#clock = clock
    this.#last = Math.max(clock.wall(), notBefore)
    this.#monotonic = clock.monotonic()
    this.now()
  }

  /** Milliseconds; never less than before. */
  now(): number {
    const monotonic = this.#clock.monotonic()
    const wall = this.#clock.wall()
    const next = this.#last + Math.max(0, monotonic - this.#monotonic)
    this.#monotonic = monotonic
    // The two clocks are read apart and round differently: a millisecond is no jump.
    this.#last = Math.max(next, wall)
    this.#ahead = this.#last - wall < 2 ? 0 : this.#last - wall
    return this.#last
  }

  /** Milliseconds since the epoch, as the wall clock tells them, of a moment on the timeline. */
  wall(at: number): number {
    return at - this.#ahead
  }

  /** The opposite of {@link wall}. */
  at(wall: number): number {
    return wall + this.#ahead
  }
}
