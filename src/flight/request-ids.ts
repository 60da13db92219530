/** The ids of requests by their slots, for as long as the slot is not another's: nothing is kept of a request without. */
export class RequestIds {
  readonly #ids: string[] = []
  readonly #generations: number[] = []
  /** Whether any request had an id. */
  used = false

  set(slot: number, generation: number, id: string): void {
    this.used = true
    this.#ids[slot] = id
    this.#generations[slot] = generation
  }

  /** '' where it had none. */
  get(slot: number, generation: number): string {
    return this.#generations[slot] === generation ? (this.#ids[slot] ?? '') : ''
  }
}
