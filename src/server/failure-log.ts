import type { FastifyBaseLogger } from 'fastify'
import type { Problem } from './problem.js'

/** What an overloaded server answers by design: worth a count in the log, not a stack for each. */
const SHED: ReadonlySet<string> = new Set(['QUEUE_FULL', 'SLO_UNREACHABLE', 'DEADLINE_EXCEEDED'])
const EVERY_MS = 1000

/**
 * Failures that are the server's (5xx), as warnings. Those of overload are counted: the first is logged at once, further
 * ones of its code as one line a second, since writing costs most when there is least time for it.
 */
export class FailureLog {
  readonly #log: FastifyBaseLogger
  readonly #more: Map<string, { count: number; last: string }> = new Map()
  #timer: NodeJS.Timeout | undefined

  constructor(log: FastifyBaseLogger) {
    this.#log = log
  }

  add(log: FastifyBaseLogger, error: unknown, problem: Problem): void {
    if (problem.status < 500) return
    const { code, message } = problem
    if (!SHED.has(code)) {
      log.warn({ err: error }, code)
      return
    }
    const seen = this.#more.get(code)
    if (seen) {
      seen.count++
      seen.last = message
      return
    }
    this.#more.set(code, { count: 0, last: message })
    log.warn({ code }, `${code}: ${message}`)
    this.#timer ??= setInterval(() => this.flush(), EVERY_MS).unref()
  }

  /** Writes what was counted; codes that did not come again are forgotten, so that their next is logged at once. */
  flush(): void {
    for (const [code, { count, last }] of this.#more) {
      if (count === 0) this.#more.delete(code)
      else {
        this.#log.warn({ code, count }, `${code}: ${count} more in about a second, the last: ${last}`)
        this.#more.set(code, { count: 0, last })
      }
    }
    if (this.#more.size === 0) this.close()
  }

  close(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}
