import type { FastifyInstance } from 'fastify'

/** Counts the requests that have arrived and are not answered yet. */
export class InFlight {
  #count = 0
  #idle: (() => void)[] = []

  get count(): number {
    return this.#count
  }

  watch(app: FastifyInstance): void {
    app.addHook('onRequest', async (_request, reply) => {
      this.#count++
      reply.raw.once('close', () => {
        this.#count--
        if (this.#count === 0) for (const wake of this.#idle.splice(0)) wake()
      })
    })
  }

  /** True when everything ended within `ms`. */
  async ended(ms: number): Promise<boolean> {
    if (this.#count === 0) return true
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), ms)
      this.#idle.push(() => {
        clearTimeout(timer)
        resolve(true)
      })
    })
  }
}
