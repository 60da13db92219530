import type { Dispatcher } from 'undici'
import type { Caller, Done } from './caller.js'

/** What is sent to a server: one of `bodies` to one path. */
export interface HttpRequests {
  readonly url: string
  readonly path: string
  /** Headers of every request, and those of one body. */
  readonly headers: Readonly<Record<string, string>>
  readonly bodies: readonly { readonly bytes: Uint8Array; readonly headers?: Readonly<Record<string, string>> }[]
  /** Connections at most. */
  readonly connections: number
  /** A request without an answer for so long is given up. */
  readonly timeoutMs: number
}

/** Enough of a failed answer to name its cause. */
const SHOWN = 300

/** Requests over HTTP/1.1, one at a time on a connection; an answer has come when its last byte has. */
export async function httpCaller(requests: HttpRequests): Promise<Caller> {
  const { Pool } = await import('undici')
  const { timeoutMs } = requests
  const pool = new Pool(requests.url, {
    connections: requests.connections,
    pipelining: 1,
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
    connect: { timeout: timeoutMs },
  })
  const made = requests.bodies.map(({ bytes, headers }) => ({
    path: requests.path,
    method: 'POST' as const,
    body: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength),
    headers: { ...requests.headers, ...headers },
  }))
  return {
    inputs: made.length,
    close: () => pool.destroy(),
    send(input, done) {
      try {
        pool.dispatch(made[input] as Dispatcher.DispatchOptions, new Answer(done))
      } catch (error) {
        done('Error', String(error))
      }
    },
  }
}

class Answer implements Dispatcher.DispatchHandler {
  readonly #done: Done
  #status = 0
  #body = ''

  constructor(done: Done) {
    this.#done = done
  }

  onRequestStart(): void {}

  onResponseStart(_controller: Dispatcher.DispatchController, status: number): void {
    this.#status = status
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#status !== 200 && this.#body.length < SHOWN) this.#body += chunk.toString('utf8', 0, SHOWN)
  }

  onResponseEnd(): void {
    if (this.#status === 200) this.#done()
    else this.#done(`HTTP ${this.#status}`, `HTTP ${this.#status}: ${this.#body.slice(0, SHOWN)}`)
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error & { code?: string }): void {
    this.#done(error.code ?? error.name, error.message || error.code)
  }
}
