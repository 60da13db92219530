import { randomUUID } from 'node:crypto'
import { inRootContext } from '../runtime/root-context.js'
import { mayPass, retryAfter, retryDelay } from './retry.js'
import type { SlaEvent } from './types.js'
import { signedHeaders } from './webhook-signature.js'

const TIMEOUT_MS = 10_000
const ATTEMPTS = 8
const QUEUE = 256

export interface WebhookTarget {
  readonly name: string
  readonly url: string
  readonly secret?: string | undefined
}

/** What tests replace. */
export interface WebhookOptions {
  readonly timeoutMs?: number
  readonly attempts?: number
  readonly queue?: number
  readonly random?: () => number
  readonly warn?: (message: string) => void
}

export interface WebhookCounts {
  readonly delivered: number
  /** Given up: the queue was full, the receiver refused it, or every attempt failed. */
  readonly dropped: number
  readonly waiting: number
}

interface Message {
  readonly id: string
  readonly body: string
  attempts: number
}

/**
 * POSTs events to one receiver, in order, one at a time. Serving never waits for it: the queue is bounded (the oldest
 * message goes when it is full), attempts are bounded and further and further apart, no redirect is followed, and
 * neither timers nor what waits keep the process alive. Every attempt of a message has the same `webhook-id`.
 */
export class Webhook {
  readonly target: WebhookTarget
  readonly #options: Required<WebhookOptions>
  readonly #queue: Message[] = []
  readonly #idle: (() => void)[] = []
  readonly #stopped = new AbortController()
  #sending = false
  #delivered = 0
  #dropped = 0

  constructor(target: WebhookTarget, options: WebhookOptions = {}) {
    this.target = target
    this.#options = {
      timeoutMs: TIMEOUT_MS,
      attempts: ATTEMPTS,
      queue: QUEUE,
      random: Math.random,
      warn: (message) => process.emitWarning(message, { code: 'SUBTEN_WEBHOOK' }),
      ...options,
    }
  }

  get counts(): WebhookCounts {
    return { delivered: this.#delivered, dropped: this.#dropped, waiting: this.#queue.length }
  }

  send(event: SlaEvent): void {
    if (this.#stopped.signal.aborted) return
    if (this.#queue.length >= this.#options.queue) {
      // Not the first: it is on its way.
      this.#queue.splice(this.#sending ? 1 : 0, 1)
      this.#drop(`more than ${this.#options.queue} messages wait, the oldest was dropped`)
    }
    this.#queue.push({ id: `msg_${randomUUID()}`, body: JSON.stringify(event), attempts: 0 })
    if (!this.#sending) inRootContext(() => void this.#sendAll())
  }

  /** Waits at most so long for what is under way, then gives the rest up. */
  async close(waitMs = 0): Promise<void> {
    if (this.#sending && waitMs > 0) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, waitMs)
        this.#idle.push(() => {
          clearTimeout(timer)
          resolve()
        })
      })
    }
    this.#stopped.abort()
    const left = this.#queue.splice(0).length
    if (left > 0) this.#drop(`${left} messages had not been delivered at the end`, left)
  }

  async #sendAll(): Promise<void> {
    this.#sending = true
    for (let message = this.#queue[0]; message !== undefined; message = this.#queue[0]) {
      const problem = await this.#deliver(message)
      if (this.#stopped.signal.aborted) break
      this.#queue.shift()
      if (problem === undefined) this.#delivered++
      else this.#drop(problem)
    }
    this.#sending = false
    for (const wake of this.#idle.splice(0)) wake()
  }

  /** Undefined when the receiver has it, else why it never will. */
  async #deliver(message: Message): Promise<string | undefined> {
    for (;;) {
      message.attempts++
      const { problem, final, retryAfterMs } = await this.#attempt(message)
      if (problem === undefined || this.#stopped.signal.aborted) return undefined
      if (final) return problem
      if (message.attempts >= this.#options.attempts) return `${problem}; it was tried ${message.attempts} times`
      await this.#sleep(retryDelay(message.attempts + 1, retryAfterMs, this.#options.random))
      if (this.#stopped.signal.aborted) return undefined
    }
  }

  async #attempt({ id, body }: Message): Promise<{ problem?: string; final?: boolean; retryAfterMs?: number }> {
    const now = Date.now()
    const headers = signedHeaders(id, Math.floor(now / 1000), body, this.target.secret)
    try {
      const { request } = await import('undici')
      const signal = AbortSignal.any([this.#stopped.signal, AbortSignal.timeout(this.#options.timeoutMs)])
      const answer = await request(this.target.url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'user-agent': 'subten', ...headers },
        body,
        signal,
      })
      await answer.body.dump({ limit: 64 * 1024, signal }).catch(() => {})
      const { statusCode } = answer
      if (statusCode >= 200 && statusCode < 300) return {}
      const problem = `it answered ${statusCode}`
      if (statusCode >= 300 && statusCode < 400)
        return { problem: `${problem}: redirects are not followed`, final: true }
      if (!mayPass(statusCode)) return { problem, final: true }
      const retryAfterMs = retryAfter(answer.headers['retry-after'], now)
      return retryAfterMs === undefined ? { problem } : { problem, retryAfterMs }
    } catch (error) {
      const late = error instanceof Error && error.name === 'TimeoutError'
      const { code, message } = error as { code?: string; message?: string }
      return { problem: late ? `no answer within ${this.#options.timeoutMs} ms` : (code ?? message ?? String(error)) }
    }
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer)
        this.#stopped.signal.removeEventListener('abort', done)
        resolve()
      }
      const timer = setTimeout(done, ms)
      timer.unref()
      this.#stopped.signal.addEventListener('abort', done, { once: true })
    })
  }

  #drop(problem: string, count = 1): void {
    this.#dropped += count
    this.#options.warn(`webhook '${this.target.name}': an event was not delivered: ${problem}`)
  }
}
