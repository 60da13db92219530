import './dispose.js'
import { unwatchAbort } from './abort.js'
import { Failure } from './failure.js'
import type { InferOptions, ModelStream, Outputs } from './types.js'

/** So many parts that nobody has read yet make the engine wait, and at so many it goes on. */
export const PAUSE_AT = 16
export const RESUME_AT = 4
/** While the model closes, a full stream from which nothing is read for so long is given up, milliseconds. */
const CLOSE_PATIENCE_MS = 1000

type Ended = Failure | 'complete'
type Step = IteratorResult<Outputs, undefined>

/** What a stream needs of its port. */
export interface StreamPort {
  /** `late`: its time was up. */
  cancel(request: StreamRequest, late?: boolean): void
  pause(request: StreamRequest, on: boolean): void
  streamEnded(request: StreamRequest): void
}

/**
 * The request behind a stream: parts that have come and have not been read, readers that wait, and how it ended. The
 * port knows this object; the caller has a {@link PartStream} in front of it, so that a stream that is dropped can be
 * collected and its request given up.
 */
export class StreamRequest {
  slot = -1
  generation = 0
  settled = false
  readonly options: InferOptions | undefined
  readonly view = undefined
  readonly #port: StreamPort
  /** An ordinary model answers with exactly one part, which may have no outputs. */
  readonly #onePart: boolean
  readonly #onEnd: ((parts: number, failure: Failure | undefined) => void) | undefined
  #parts: Outputs[] = []
  #head = 0
  /** With their streams, which must not be collected while somebody waits. */
  readonly #readers: { readonly stream: ModelStream; readonly resolve: (step: Step | Promise<never>) => void }[] = []
  #ended: Ended | undefined
  #count = 0
  #paused = false
  #closing = false
  #timer: NodeJS.Timeout | undefined
  #patience: NodeJS.Timeout | undefined

  /** `onEnd` is called once, with how many parts came and what the stream failed with. */
  constructor(
    port: StreamPort,
    options: InferOptions | undefined,
    onePart: boolean,
    onEnd?: (parts: number, failure: Failure | undefined) => void,
  ) {
    this.#port = port
    this.options = options
    this.#onePart = onePart
    this.#onEnd = onEnd
  }

  /** The budget of the whole stream; `deadlineMs` < 0: none. */
  limit(deadlineMs: number): void {
    if (deadlineMs < 0 || this.settled) return
    const late = (): void => {
      const message = `the stream had not ended when its deadline passed, after ${this.#count} parts`
      this.giveUp(Failure.of('DEADLINE_EXCEEDED', message), true)
    }
    // What is in flight keeps the process alive, this need not.
    this.#timer = setTimeout(late, Math.min(deadlineMs, 2 ** 31 - 1)).unref()
  }

  // --- what the port calls ---------------------------------------------------------------------------------------------

  part(outputs: Outputs): void {
    this.#count++
    const reader = this.#readers.shift()
    if (reader !== undefined) {
      reader.resolve({ value: outputs, done: false })
      return
    }
    this.#parts.push(outputs)
    if (!this.#paused && this.#unread >= PAUSE_AT) {
      this.#paused = true
      this.#port.pause(this, true)
      if (this.#closing) this.#awaitReader()
    }
  }

  /** The final completion: a failure, the last part, or only the end. */
  settle(result: Outputs | Failure): void {
    if (this.settled) return
    if (!(result instanceof Failure) && (this.#onePart || hasOutputs(result))) this.part(result)
    this.#end(result instanceof Failure ? result : 'complete')
  }

  abort(reason: unknown): void {
    this.giveUp(new Failure(() => reason, true))
  }

  /** The model closes: the stream may end, but a reader that has gone must not hold it up for ever. */
  closing(): void {
    this.#closing = true
    if (this.#paused) this.#awaitReader()
  }

  // --- what the caller does --------------------------------------------------------------------------------------------

  next(stream: ModelStream): Promise<Step> {
    if (this.#unread > 0) return Promise.resolve({ value: this.#shift(), done: false })
    const ended = this.#ended
    if (ended === undefined) return new Promise((resolve) => this.#readers.push({ stream, resolve }))
    this.#ended = 'complete'
    return ended instanceof Failure ? ended.rejection() : Promise.resolve(done())
  }

  /** Nobody reads on: parts that have come are dropped, those to come are not asked for. */
  leave(): void {
    this.#drop()
    if (!this.settled) {
      this.#port.cancel(this)
      this.#end('complete')
    }
    this.#ended = 'complete'
  }

  /** Ends the stream with a failure, whatever is in flight or unread. */
  giveUp(failure: Failure, late = false): void {
    if (this.settled) return
    this.#port.cancel(this, late)
    this.#drop()
    this.#end(failure)
  }

  get #unread(): number {
    return this.#parts.length - this.#head
  }

  #shift(): Outputs {
    const parts = this.#parts
    const part = parts[this.#head] as Outputs
    parts[this.#head++] = undefined as unknown as Outputs
    if (this.#head === parts.length || this.#head >= 1024) {
      parts.splice(0, this.#head)
      this.#head = 0
    }
    clearTimeout(this.#patience)
    if (!this.#paused) return part
    if (this.#unread > RESUME_AT) {
      if (this.#closing) this.#awaitReader()
    } else if (!this.settled) {
      this.#paused = false
      this.#port.pause(this, false)
    }
    return part
  }

  #drop(): void {
    this.#parts = []
    this.#head = 0
  }

  #awaitReader(): void {
    clearTimeout(this.#patience)
    if (this.settled) return
    const message = 'the model was closed while the stream was full and nobody read it'
    const giveUp = (): void => {
      // What has come may still be read: only what would follow is lost.
      if (this.settled) return
      this.#port.cancel(this)
      this.#end(Failure.of('MODEL_CLOSED', message))
    }
    this.#patience = setTimeout(giveUp, CLOSE_PATIENCE_MS)
  }

  #end(ended: Ended): void {
    if (this.settled) return
    this.settled = true
    this.#ended = ended
    clearTimeout(this.#timer)
    clearTimeout(this.#patience)
    const signal = this.options?.signal
    if (signal) unwatchAbort(signal, this)
    this.#port.streamEnded(this)
    this.#onEnd?.(this.#count, ended instanceof Failure ? ended : undefined)
    const readers = this.#readers.splice(0)
    // Readers wait only where no part is unread: the first of them learns how it ended, as with a generator.
    for (const [index, { resolve }] of readers.entries()) {
      if (index === 0 && ended instanceof Failure) {
        this.#ended = 'complete'
        resolve(ended.rejection())
      } else {
        resolve(done())
      }
    }
  }
}

function done(): Step {
  return { value: undefined, done: true }
}

function hasOutputs(outputs: Outputs): boolean {
  for (const _ in outputs) return true
  return false
}

/** Requests of streams that were dropped before they ended are given up. */
const forgotten = new FinalizationRegistry<StreamRequest>((request) => request.leave())

/** What `model.stream()` returns. */
export class PartStream implements ModelStream {
  readonly #request: StreamRequest

  constructor(request: StreamRequest) {
    this.#request = request
    forgotten.register(this, request, this)
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  next(): Promise<Step> {
    return this.#request.next(this)
  }

  async return(): Promise<Step> {
    this.#leave()
    return done()
  }

  async throw(error: unknown): Promise<Step> {
    this.#leave()
    throw error
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#leave()
  }

  #leave(): void {
    forgotten.unregister(this)
    this.#request.leave()
  }
}
