import './dispose.js'
import { FlightLog } from '../flight/flight-log.js'
import { watchGc } from '../flight/gc-watch.js'
import type { Explanation } from '../flight/types.js'
import { addon, type NativePort } from './binding.js'
import { inferTraced, streamTraced, traceInfer, traceStream } from './diagnostics.js'
import { SubtenError } from './errors.js'
import { eventLoopLateness, watchEventLoop } from './event-loop.js'
import { Failure } from './failure.js'
import { type EngineTotals, MEASURED, type Measured, noContract, type SlaBinding } from './measured.js'
import { ModelListeners } from './model-listeners.js'
import { pictureClassifier } from './picture-classifier.js'
import { Port } from './port.js'
import { checkRequestOptions } from './request-options.js'
import { Claims } from './slot.js'
import { Snapshot } from './snapshot.js'
import type { Stats } from './stats.js'
import { PartStream, StreamRequest } from './stream.js'
import type {
  ClaimOptions,
  Classification,
  ClassifyOptions,
  InferManyOptions,
  InferOptions,
  Inputs,
  Model,
  ModelEvents,
  ModelSla,
  ModelStream,
  Outputs,
  Settled,
  ShareToken,
  Slot,
  TensorSpec,
} from './types.js'
import { markServedBy, refusedAsUnreachable, turnedAway } from './variant.js'

/** What every environment that uses a core must know; kept with the core as JSON. */
export interface ModelInfo {
  readonly name: string
  readonly version: string
  readonly engine: string
  readonly maxBatchSize: number
  readonly inputs: readonly TensorSpec[]
  readonly outputs: readonly TensorSpec[]
  readonly metadata: Readonly<Record<string, string>>
  readonly labels: Readonly<Record<string, readonly string[]>>
  readonly config: Readonly<Record<string, unknown>>
  readonly whenFull: 'reject' | 'wait'
  readonly decoupled: boolean
  /** False: no slow request is kept, and what would explain them is not watched. */
  readonly recorded?: boolean
  /** Whether the engine takes request ids, sequences and parameters. */
  readonly attributes?: boolean
  /** The promise that requests are scheduled by. */
  readonly slo?: { readonly p99Ms: number }
}

/** One environment's handle on a loaded model. */
export class NativeModel implements Model {
  readonly name: string
  readonly version: string
  readonly engine: string
  readonly maxBatchSize: number
  readonly inputs: readonly TensorSpec[]
  readonly outputs: readonly TensorSpec[]
  readonly decoupled: boolean
  readonly metadata: Readonly<Record<string, string>>
  readonly config: Readonly<Record<string, unknown>>
  readonly #info: ModelInfo
  readonly #port: Port
  readonly #claims: Claims
  readonly #listeners = new ModelListeners()
  #binding: SlaBinding | undefined
  /** Answers requests of `infer` that this model could not end in time. */
  #variant: NativeModel | undefined
  #servedByVariant = 0
  readonly #beforeClose: (() => Promise<void>)[] = []
  /** What measures the model sees of it. */
  readonly [MEASURED]: Measured = {
    totals: (thresholdsUs) => this.#totals(thresholdsUs),
    bind: (binding) => this.#bind(binding),
    emit: (event) => this.#listeners.emit('sla', event),
  }
  readonly #flight: FlightLog
  readonly #unwatch: (() => void)[]
  #closing: Promise<void> | undefined

  /** `open` makes the native port; it is given what to call when completions may be waiting. */
  constructor(info: ModelInfo, open: (onWake: () => void) => NativePort) {
    let target: WeakRef<Port> | undefined
    // Native code holds this closure as long as the port is open: a strong reference would keep an abandoned model alive.
    const native = open(() => target?.deref()?.onWake())
    this.#info = info
    this.name = info.name
    this.version = info.version
    this.engine = info.engine
    this.maxBatchSize = info.maxBatchSize
    this.inputs = info.inputs
    this.outputs = info.outputs
    this.decoupled = info.decoupled
    this.metadata = info.metadata
    this.config = info.config
    this.#port = new Port(native, info.inputs, info.outputs, info.maxBatchSize, info.attributes === true)
    this.#port.sloMs = info.slo?.p99Ms ?? -1
    target = new WeakRef(this.#port)
    this.#claims = new Claims(this.#port, info.name, info.inputs, info.maxBatchSize)
    this.#flight = flightLog(info, this.#port)
    this.#unwatch = [watchEventLoop(), ...(info.recorded === false ? [] : [watchGc()])]
  }

  labels(output: string): readonly string[] | undefined {
    return Object.hasOwn(this.#info.labels, output) ? this.#info.labels[output] : undefined
  }

  get closed(): boolean {
    return this.#closing !== undefined
  }

  infer(inputs: Inputs, options?: InferOptions): Promise<Outputs> {
    return this.#infer(inputs, options, this.#info.whenFull === 'wait')
  }

  // Not an async function: its promise and its frame would cost a third of a small request.
  #infer(inputs: Inputs, options: InferOptions | undefined, wait: boolean): Promise<Outputs> {
    try {
      return inferTraced() ? this.#traced(inputs, options, wait) : this.#request(inputs, options, wait)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  #traced(inputs: Inputs, options: InferOptions | undefined, wait: boolean): Promise<Outputs> {
    const event = { model: this.name, version: this.version, id: options?.id }
    return traceInfer(event, async () => this.#request(inputs, options, wait))
  }

  #request(inputs: Inputs, options: InferOptions | undefined, wait: boolean): Promise<Outputs> {
    if (this.#closing !== undefined) throw this.#closedError()
    if (this.#info.decoupled) throw this.#decoupledError()
    checkRequestOptions(options, this.#port.attributes)
    const deadlineMs = this.#port.budget(options)
    return this.#variant === undefined
      ? this.#port.request(inputs, options, deadlineMs, wait)
      : this.#requestOrVariant(this.#variant, inputs, options, deadlineMs, wait)
  }

  #requestOrVariant(
    variant: NativeModel,
    inputs: Inputs,
    options: InferOptions | undefined,
    deadlineMs: number,
    wait: boolean,
  ): Promise<Outputs> {
    const since = performance.now()
    const instead = (error: unknown): Promise<Outputs> => {
      if (!refusedAsUnreachable(error)) throw error
      const leftMs = deadlineMs < 0 ? -1 : Math.max(0, deadlineMs - (performance.now() - since))
      return this.#askVariant(variant, inputs, options, leftMs, error)
    }
    try {
      const outputs = this.#port.request(inputs, options, deadlineMs, wait)
      // What waits for room is refused later.
      return wait ? outputs.catch(instead) : outputs
    } catch (error) {
      return instead(error)
    }
  }

  /** Once, and without waiting for room there. Where the variant refuses as well, the model's own error stands. */
  async #askVariant(
    variant: NativeModel,
    inputs: Inputs,
    options: InferOptions | undefined,
    leftMs: number,
    refused: SubtenError,
  ): Promise<Outputs> {
    try {
      if (leftMs === 0) throw refused
      // Without a deadline of its own the request has what the model promises, and the variant promises the same.
      const own = leftMs < 0 ? options : { ...options, deadlineMs: leftMs }
      const outputs = await variant.#infer(inputs, own, false)
      this.#servedByVariant++
      return markServedBy(outputs, variant.name)
    } catch (error) {
      if (!turnedAway(error)) throw error
      this.#port.countRefused()
      throw refused
    }
  }

  /**
   * Requests of `infer` and `inferMany` that are refused with SLO_UNREACHABLE go to this model, which is closed with
   * this one.
   */
  useVariant(variant: NativeModel): void {
    this.#variant = variant
    this.#port.unreachableElsewhere = true
  }

  /** What is done before the model closes, when nothing is in flight any more. */
  beforeClose(run: () => Promise<void>): void {
    this.#beforeClose.push(run)
  }

  /** The learned latencies; undefined where the model is closed. */
  latencyTable(): string | undefined {
    return this.#port.closed ? undefined : (this.#port.native.latencyTable?.() ?? '')
  }

  get slo(): { readonly p99Ms: number } | undefined {
    return this.#info.slo
  }

  stream(inputs: Inputs, options?: InferOptions): ModelStream {
    if (!streamTraced()) return new PartStream(this.#stream(inputs, options))
    let request: StreamRequest | undefined
    const event = { model: this.name, version: this.version, id: options?.id }
    traceStream(event, () => {
      return new Promise((resolve, reject) => {
        request = this.#stream(inputs, options, (parts, failure) =>
          failure === undefined ? resolve(parts) : reject(failure.error()),
        )
      })
    })
    return new PartStream(request as unknown as StreamRequest)
  }

  /** What is wrong with a request is found out by who reads the stream, as with infer(). */
  #stream(
    inputs: Inputs,
    options: InferOptions | undefined,
    onEnd?: (parts: number, failure: Failure | undefined) => void,
  ): StreamRequest {
    const request = new StreamRequest(this.#port, options, !this.#info.decoupled, onEnd)
    try {
      if (this.#closing !== undefined) throw this.#closedError()
      checkRequestOptions(options, this.#port.attributes)
      const deadlineMs = this.#port.timeLeft(options)
      this.#port.stream(request, inputs, deadlineMs, this.#info.whenFull === 'wait')
      request.limit(deadlineMs)
    } catch (error) {
      request.settle(new Failure(() => error))
    }
    return request
  }

  inferSync(inputs: Inputs, options?: { bytes?: boolean; trace?: boolean }): Outputs {
    if (this.#closing !== undefined) throw this.#closedError()
    if (this.#info.decoupled) throw this.#decoupledError()
    return this.#port.requestSync(inputs, options?.bytes === true, options?.trace === true)
  }

  inferMany(rows: readonly Inputs[], options: InferManyOptions & { onError: 'settle' }): Promise<Settled<Outputs>[]>
  inferMany(rows: readonly Inputs[], options?: InferManyOptions): Promise<Outputs[]>
  async inferMany(rows: readonly Inputs[], options?: InferManyOptions): Promise<Outputs[] | Settled<Outputs>[]> {
    if (!Array.isArray(rows)) throw new SubtenError('INVALID_INPUT', 'inferMany needs an array of inputs')
    // More rows than the queue takes wait for room: the caller gave them all at once and cannot do it better.
    const all = rows.map((inputs) => this.#infer(inputs, options, true))
    if (options?.onError !== 'settle') return Promise.all(all)
    const ended = await Promise.allSettled(all)
    return ended.map((each) =>
      each.status === 'fulfilled' ? { ok: true, value: each.value } : { ok: false, error: each.reason as unknown },
    )
  }

  async classify(bytes: Uint8Array | ArrayBuffer, options: ClassifyOptions = {}): Promise<Classification> {
    if (this.#closing !== undefined) throw this.#closedError()
    if (this.#info.decoupled) throw this.#decoupledError()
    checkRequestOptions(options, this.#port.attributes)
    const budgetMs = this.#port.budget(options)
    const started = performance.now()
    const { classifyPicture } = await pictureClassifier()
    const left = budgetMs < 0 ? -1 : Math.max(0, budgetMs - (performance.now() - started))
    return classifyPicture(this, bytes, options, { budgetMs: left, countExpired: () => this.#port.countExpired() })
  }

  async claim(options?: ClaimOptions): Promise<Slot> {
    if (this.#closing !== undefined) throw this.#closedError()
    return this.#claims.claim(options)
  }

  tryClaim(options?: Omit<ClaimOptions, 'signal'>): Slot | null {
    if (this.#closing !== undefined) throw this.#closedError()
    return this.#claims.tryClaim(options)
  }

  stats(): Stats {
    if (this.#port.closed) throw this.#closedError()
    const { native } = this.#port
    const served = this.#variant === undefined ? undefined : this.#servedByVariant
    return Snapshot.of(native.stats(), eventLoopLateness(), native.sloFigures?.(), served)
  }

  resetStats(): void {
    if (this.#port.closed) throw this.#closedError()
    this.#port.native.resetStats()
    this.#servedByVariant = 0
  }

  /** With what the cheaper variant answered instead: it takes no other requests. What it refused this model refused. */
  #totals(thresholdsUs: readonly number[]): EngineTotals | undefined {
    const own = this.#ownTotals(thresholdsUs)
    const variant = this.#variant
    if (own === undefined || variant === undefined) return own
    const instead = variant.#ownTotals(thresholdsUs)
    if (instead === undefined) return own
    return {
      measured: own.measured + instead.measured,
      within: own.within.map((count, i) => count + (instead.within[i] ?? 0)),
      failed: own.failed + instead.failed,
      expired: own.expired + instead.expired,
      refused: own.refused,
      cancelled: own.cancelled + instead.cancelled,
    }
  }

  #ownTotals(thresholdsUs: readonly number[]): EngineTotals | undefined {
    if (this.#port.closed) return undefined
    const figures = this.#port.native.totals?.(Float64Array.from(thresholdsUs, (us) => us * 1000))
    if (figures === undefined) return undefined
    const [, , failed = 0, cancelled = 0, expired = 0, refused = 0, measured = 0, ...within] = figures
    return { measured, within, failed, expired, refused, cancelled }
  }

  #bind(binding: SlaBinding): void {
    this.#binding = binding
    this.#port.defaultDeadlineMs = binding.deadlineMs
  }

  get sla(): ModelSla {
    return this.#binding?.sla ?? noContract(this.name)
  }

  on<E extends keyof ModelEvents>(event: E, listener: (event: ModelEvents[E]) => void): this {
    this.#listeners.on(event, listener)
    return this
  }

  once<E extends keyof ModelEvents>(event: E, listener: (event: ModelEvents[E]) => void): this {
    this.#listeners.on(event, listener, true)
    return this
  }

  off<E extends keyof ModelEvents>(event: E, listener: (event: ModelEvents[E]) => void): this {
    this.#listeners.off(event, listener)
    return this
  }

  explain(id: string): Explanation | undefined {
    return this.#flight.explain(id)
  }

  slowRequests(): Explanation[] {
    return this.#flight.slowRequests()
  }

  share(): ShareToken {
    if (this.#closing !== undefined) throw this.#closedError()
    const token = { subten: 1, id: this.#port.native.share() } as const
    return this.#variant === undefined ? token : { ...token, variant: this.#variant.share() }
  }

  ref(): this {
    if (!this.#port.closed) this.#port.native.keep(1)
    this.#variant?.ref()
    return this
  }

  unref(): this {
    if (!this.#port.closed) this.#port.native.keep(2)
    this.#variant?.unref()
    return this
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#port.beginClosing()
    await this.#port.idle()
    this.#claims.releaseAll()
    await this.#binding?.onClose()
    for (const run of this.#beforeClose) await run()
    this.#flight.close()
    for (const unwatch of this.#unwatch) unwatch()
    await this.#variant?.close()
    if (await this.#port.close()) return
    process.emitWarning(
      `model '${this.name}' is closed, but its engine (${this.engine}) has not returned from a run for 5 s: the run keeps its thread and its memory until it returns`,
      { code: 'SUBTEN_ENGINE_STUCK' },
    )
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #decoupledError(): SubtenError {
    const problem = 'it may answer a request with any number of responses, which infer() cannot return'
    return new SubtenError('NOT_SUPPORTED', `model '${this.name}' is decoupled: ${problem}`, {
      remedy: 'Read the responses with `for await (const part of model.stream(inputs))`.',
    })
  }

  #closedError(): SubtenError {
    return new SubtenError('MODEL_CLOSED', `model '${this.name}' is closed`)
  }
}

/** On its own: the port holds what it makes, and would hold the model as well. */
function flightLog(info: ModelInfo, port: Port): FlightLog {
  const { dynamic_batching: batching } = info.config as { dynamic_batching?: { max_queue_delay_microseconds?: number } }
  const native = addon()
  const attribution = { delays: (batching?.max_queue_delay_microseconds ?? 0) > 0, cpus: native.cpus().used }
  const model = { name: info.name, version: info.version, attribution }
  const log = new FlightLog(port.native, () => native.hostWatch(), model, port.ids)
  port.onSlow = () => log.onKept()
  return log
}
