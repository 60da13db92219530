// The worker threads as the main thread sees them: started, told what to do, terminated, replaced.
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'

/** Small young generations: eight of the usual size come and go by more than what a leak would show. */
const LIMITS = { maxYoungGenerationSizeMb: 4 }

export class Producers {
  #workers = []
  #tickets = new Map()
  #nextTicket = 1
  #nextId = 1

  /** `common`: workerData of all; `tokens()`: the models as they are now; `report(text)`: what went wrong. */
  constructor({ common, seed, tokens, report }) {
    Object.assign(this, { common, seed, tokens, report })
  }

  async start(row) {
    const id = this.#nextId++
    const workerData = { ...this.common, row, id, seed: this.seed + id * 7919, tokens: this.tokens() }
    const worker = new Worker(new URL('./producer.mjs', import.meta.url), { workerData, resourceLimits: LIMITS })
    worker.on('message', (message) => {
      if (message.problem) this.report(`worker ${row}: ${message.problem}`)
      this.#answer(row, message)
    })
    worker.on('error', (error) => this.report(`worker ${row} died: ${error.stack ?? error}`))
    this.#workers[row] = worker
    await once(worker, 'message')
  }

  #answer(row, message) {
    const waiting = this.#tickets.get(message.ticket)
    if (waiting === undefined || waiting.row !== row) return
    this.#tickets.delete(message.ticket)
    waiting.resolve(message)
  }

  /** Resolves with the answer, or with undefined when the worker is terminated first. */
  tell(row, command, rest = {}) {
    const ticket = this.#nextTicket++
    return new Promise((resolve) => {
      this.#tickets.set(ticket, { row, command, resolve })
      this.#workers[row].postMessage({ command, ticket, ...rest })
    })
  }

  tellAll(command, rest) {
    return Promise.all(this.#workers.map((_, row) => this.tell(row, command, rest)))
  }

  /** What workers were told and have not answered. */
  get unanswered() {
    return [...this.#tickets.values()].map(({ row, command }) => `worker ${row}: ${command}`)
  }

  async terminate(row) {
    await this.#workers[row].terminate()
    for (const [ticket, waiting] of this.#tickets) {
      if (waiting.row !== row) continue
      this.#tickets.delete(ticket)
      waiting.resolve(undefined)
    }
  }

  async end() {
    await this.tellAll('close')
    await Promise.all(this.#workers.map((worker) => worker.terminate()))
  }
}
