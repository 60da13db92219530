import { createHistogram, performance, type RecordableHistogram } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Explanation } from './flight/types.js'
import { STORAGE, type TensorData } from './runtime/datatype.js'
import { budgetLeft } from './runtime/deadline.js'
import { SubtenError } from './runtime/errors.js'
import { WrittenInput } from './runtime/inputs.js'
import { MEASURED, type Measured, noContract, type SlaBinding } from './runtime/measured.js'
import { ModelListeners } from './runtime/model-listeners.js'
import { pictureClassifier } from './runtime/picture-classifier.js'
import { type RequestCounts, STAGES, type Stage, type StageSummary, type Stats } from './runtime/stats.js'
import { Tensor } from './runtime/tensor.js'
import type {
  ClaimOptions,
  Classification,
  ClassifyOptions,
  InferManyOptions,
  InferOptions,
  Inputs,
  InputValue,
  Model,
  ModelEvents,
  ModelSla,
  ModelStream,
  Outputs,
  Settled,
  ShareToken,
  Slot,
  TensorInput,
  TensorSpec,
  Timing,
} from './runtime/types.js'

/** What a fake model claims to be. */
export interface FakeSpec {
  /** 'fake' by default. */
  name?: string
  /** '1' by default. */
  version?: string
  /** With the batch dimension first (-1) when maxBatchSize > 0. */
  inputs: readonly TensorSpec[]
  outputs: readonly TensorSpec[]
  /** 0 (no batching) by default. */
  maxBatchSize?: number
  labels?: { readonly [output: string]: readonly string[] }
  metadata?: Readonly<Record<string, string>>
  config?: Readonly<Record<string, unknown>>
}

/** A tensor of a fake result: a Tensor, its elements alone (shape from the model), or `{ data, shape }`. */
export type FakeOutput =
  | Tensor
  | TensorData
  | readonly number[]
  | { data: TensorData | readonly number[]; shape?: readonly number[] }
export type FakeOutputs = { readonly [name: string]: FakeOutput }

/** How a fake model behaves. */
export interface FakeBehaviour {
  /** The result of every request, or a function of the (checked) inputs. Zeros of the model's shapes when absent. */
  outputs?: FakeOutputs | ((inputs: { readonly [name: string]: Tensor }) => FakeOutputs)
  /**
   * What `stream()` gives: so many times `outputs`, or a function of the (checked) inputs that gives the parts, which may
   * be an async generator. 1 by default.
   */
  parts?: number | ((inputs: { readonly [name: string]: Tensor }) => Iterable<FakeOutputs> | AsyncIterable<FakeOutputs>)
  /** Whether the model says that it is decoupled, and refuses infer() with NOT_SUPPORTED; false by default. */
  decoupled?: boolean
  /** Milliseconds each request, and each part of a stream, takes; 0 by default. A request with less `deadlineMs` ends with DEADLINE_EXCEEDED. */
  latencyMs?: number
  /** Every n-th request ends with ENGINE_FAILED; never by default. */
  failEvery?: number
}

/**
 * A model without native code and without a model file, for the tests of your own code. It checks inputs as a loaded
 * model does (INVALID_INPUT, BATCH_TOO_LARGE), honours `signal`, `deadlineMs` and `withDeadline()`, counts in `stats()`, and rejects
 * with MODEL_CLOSED after `close()`. `share()` is not there.
 *
 * ```ts
 * const model = fakeModel(
 *   { inputs: [{ name: 'x', datatype: 'FP32', shape: [2] }], outputs: [{ name: 'y', datatype: 'FP32', shape: [2] }] },
 *   { outputs: ({ x }) => ({ y: x.toFloat32().map((v) => v * 2) }), latencyMs: 5 },
 * )
 * ```
 */
export function fakeModel(spec: FakeSpec, behaviour: FakeBehaviour = {}): Model {
  return new FakeModel(spec, behaviour)
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] }

class FakeModel implements Model {
  readonly name: string
  readonly version: string
  readonly engine = 'fake'
  readonly maxBatchSize: number
  readonly inputs: readonly TensorSpec[]
  readonly outputs: readonly TensorSpec[]
  readonly decoupled: boolean
  readonly metadata: Readonly<Record<string, string>>
  readonly config: Readonly<Record<string, unknown>>
  closed = false
  readonly #spec: FakeSpec
  readonly #behaviour: FakeBehaviour
  readonly #running = new Set<Promise<unknown>>()
  readonly #listeners = new ModelListeners()
  #binding: SlaBinding | undefined
  /** There is no engine to count: a server in front of it measures at the edge. */
  readonly [MEASURED]: Measured = {
    totals: () => undefined,
    bind: (binding) => {
      this.#binding = binding
    },
    emit: (event) => this.#listeners.emit('sla', event),
  }
  #started = 0
  #rows = 0
  #counts = zeroCounts()
  #stages = newHistograms()

  constructor(spec: FakeSpec, behaviour: FakeBehaviour) {
    this.#spec = spec
    this.#behaviour = behaviour
    this.name = spec.name ?? 'fake'
    this.version = spec.version ?? '1'
    this.maxBatchSize = spec.maxBatchSize ?? 0
    this.inputs = spec.inputs
    this.outputs = spec.outputs
    this.decoupled = behaviour.decoupled ?? false
    this.metadata = spec.metadata ?? {}
    this.config = spec.config ?? { name: this.name, backend: 'fake', max_batch_size: this.maxBatchSize }
  }

  labels(output: string): readonly string[] | undefined {
    return this.#spec.labels?.[output]
  }

  async infer(inputs: Inputs, options: InferOptions = {}): Promise<Outputs> {
    if (this.decoupled) throw new SubtenError('NOT_SUPPORTED', `model '${this.name}' is decoupled; use stream()`)
    const { tensors, rows } = this.#admit(inputs, options)
    const started = performance.now()
    this.#counts.submitted++
    this.#counts.inFlight++
    const run = this.#wait(options).then(() => this.#result(tensors, rows))
    this.#running.add(run)
    try {
      const result = await run
      this.#counts.succeeded++
      this.#rows += rows
      return this.#timed(result, (performance.now() - started) * 1000, rows, options.trace)
    } catch (error) {
      if (options.signal?.aborted) this.#counts.cancelled++
      else if (error instanceof SubtenError && error.code === 'DEADLINE_EXCEEDED') this.#counts.expired++
      else this.#counts.failed++
      throw error
    } finally {
      this.#counts.inFlight--
      this.#running.delete(run)
    }
  }

  stream(inputs: Inputs, options: InferOptions = {}): ModelStream {
    return new FakeStream(this.#parts(inputs, options))
  }

  async *#parts(inputs: Inputs, options: InferOptions): AsyncGenerator<Outputs, undefined> {
    const { tensors, rows } = this.#admit(inputs, options)
    const started = performance.now()
    const { parts = 1 } = this.#behaviour
    let ended: () => void = () => {}
    this.#running.add(new Promise<void>((resolve) => (ended = resolve)))
    this.#counts.submitted++
    this.#counts.inFlight++
    let outcome: 'succeeded' | 'cancelled' | 'expired' | 'failed' = 'cancelled'
    try {
      const given = typeof parts === 'function' ? parts(tensors) : Array.from({ length: parts }, () => undefined)
      for await (const outputs of given) {
        const spent = performance.now() - started
        const left = options.deadlineMs === undefined ? {} : { deadlineMs: options.deadlineMs - spent }
        await this.#wait({ ...options, ...left })
        yield this.#timed(this.#result(tensors, rows, outputs), spent * 1000, rows, options.trace)
        options.signal?.throwIfAborted()
      }
      this.#rows += rows
      outcome = 'succeeded'
    } catch (error) {
      if (options.signal?.aborted) outcome = 'cancelled'
      else if (error instanceof SubtenError && error.code === 'DEADLINE_EXCEEDED') outcome = 'expired'
      else outcome = 'failed'
      throw error
    } finally {
      this.#counts[outcome]++
      this.#counts.inFlight--
      ended()
    }
    return undefined
  }

  inferSync(inputs: Inputs, options: { bytes?: boolean; trace?: boolean } = {}): Outputs {
    const { tensors, rows } = this.#admit(inputs, {})
    this.#counts.submitted++
    try {
      const result = this.#result(tensors, rows)
      this.#counts.succeeded++
      this.#rows += rows
      return this.#timed(result, 1, rows, options.trace)
    } catch (error) {
      this.#counts.failed++
      throw error
    }
  }

  inferMany(rows: readonly Inputs[], options: InferManyOptions & { onError: 'settle' }): Promise<Settled<Outputs>[]>
  inferMany(rows: readonly Inputs[], options?: InferManyOptions): Promise<Outputs[]>
  async inferMany(rows: readonly Inputs[], options: InferManyOptions = {}): Promise<(Outputs | Settled<Outputs>)[]> {
    const runs = rows.map((row) => this.infer(row, options))
    if (options.onError !== 'settle') return Promise.all(runs)
    const ends = await Promise.allSettled(runs)
    return ends.map((e) => (e.status === 'fulfilled' ? { ok: true, value: e.value } : { ok: false, error: e.reason }))
  }

  async classify(bytes: Uint8Array | ArrayBuffer, options: ClassifyOptions = {}): Promise<Classification> {
    this.#refuseWhenClosed()
    if (this.decoupled) throw new SubtenError('NOT_SUPPORTED', `model '${this.name}' is decoupled; use stream()`)
    const budgetMs = budgetLeft(options.deadlineMs)
    const { classifyPicture } = await pictureClassifier()
    const countExpired = (): void => {
      this.#counts.submitted++
      this.#counts.expired++
    }
    return classifyPicture(this, bytes, options, { budgetMs, countExpired })
  }

  async claim(options: ClaimOptions = {}): Promise<Slot> {
    options.signal?.throwIfAborted()
    return this.tryClaim(options)
  }

  tryClaim(options: Omit<ClaimOptions, 'signal'> = {}): Slot {
    this.#refuseWhenClosed()
    const inputs: Record<string, Tensor> = Object.create(null)
    for (const spec of this.inputs) {
      const shape = options.shapes?.[spec.name] ?? concrete(spec.shape, options.rows ?? 1)
      inputs[spec.name] = new Tensor(spec.datatype, shape, zeros(spec, shape))
    }
    return new FakeSlot(inputs, (o) => this.infer(inputs, o))
  }

  stats(): Stats {
    const batches = this.#counts.succeeded + this.#counts.failed
    const stages = Object.fromEntries(STAGES.map((s) => [s, summary(this.#stages[s])])) as Record<Stage, StageSummary>
    return {
      requests: { ...this.#counts },
      batches: {
        count: batches,
        meanSize: batches === 0 ? 0 : this.#rows / batches,
        byReason: { full: 0, preferred: 0, delay: 0, deadline: 0, idle: batches },
        inPlace: 0,
      },
      running: { batches: this.#counts.inFlight > 0 ? 1 : 0, oldestMs: 0 },
      stages,
      eventLoop: summary(createHistogram()),
      memory: { bytes: 0, used: 0 },
      at: Date.now(),
      diff(previous) {
        return difference(this, previous)
      },
    }
  }

  resetStats(): void {
    const { inFlight } = this.#counts
    this.#counts = { ...zeroCounts(), submitted: inFlight, inFlight }
    this.#rows = 0
    this.#stages = newHistograms()
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

  /** Nothing is slow here. */
  explain(): undefined {
    return undefined
  }

  slowRequests(): Explanation[] {
    return []
  }

  share(): ShareToken {
    throw new SubtenError('NOT_SUPPORTED', 'a fake model cannot be shared with other threads')
  }

  ref(): this {
    return this
  }

  unref(): this {
    return this
  }

  async close(): Promise<void> {
    this.closed = true
    await Promise.allSettled(this.#running)
    await this.#binding?.onClose()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #refuseWhenClosed(): void {
    if (this.closed) throw new SubtenError('MODEL_CLOSED', `model '${this.name}' was closed`)
  }

  #admit(inputs: Inputs, options: InferOptions): { tensors: Record<string, Tensor>; rows: number } {
    this.#refuseWhenClosed()
    options.signal?.throwIfAborted()
    const known = new Map(this.inputs.map((spec) => [spec.name, spec]))
    const tensors: Record<string, Tensor> = Object.create(null)
    for (const name of Object.keys(inputs)) {
      const spec = known.get(name)
      const value = inputs[name]
      if (!spec) throw invalid(`model '${this.name}' has no input '${name}'`)
      if (value !== undefined) tensors[name] = toTensor(spec, value)
    }
    const missing = this.inputs.find((spec) => !(spec.name in tensors) && !spec.optional)
    if (missing) throw invalid(`input '${missing.name}' is missing`)
    const rows = this.maxBatchSize > 0 ? (Object.values(tensors)[0]?.shape[0] ?? 1) : 1
    if (this.maxBatchSize > 0 && rows > this.maxBatchSize) {
      throw new SubtenError('BATCH_TOO_LARGE', `${rows} rows, but max_batch_size is ${this.maxBatchSize}`)
    }
    return { tensors, rows }
  }

  async #wait(options: InferOptions): Promise<void> {
    const latency = this.#behaviour.latencyMs ?? 0
    const deadlineMs = budgetLeft(options.deadlineMs)
    const late = deadlineMs >= 0 && (deadlineMs === 0 || deadlineMs < latency)
    const delay = late ? deadlineMs : latency
    try {
      if (delay > 0) await sleep(delay, undefined, { signal: options.signal })
      else await null
    } catch {
      throw options.signal?.reason
    }
    if (late) throw new SubtenError('DEADLINE_EXCEEDED', `the deadline of ${Number(deadlineMs.toFixed(3))} ms passed`)
  }

  #result(tensors: Record<string, Tensor>, rows: number, part?: FakeOutputs): Record<string, Tensor> {
    this.#started++
    const { failEvery = 0, outputs: usual } = this.#behaviour
    const outputs = part ?? usual
    if (failEvery > 0 && this.#started % failEvery === 0) {
      throw new SubtenError('ENGINE_FAILED', `request ${this.#started} fails, as failEvery: ${failEvery} asks`)
    }
    const given = (typeof outputs === 'function' ? outputs(tensors) : outputs) ?? {}
    const result: Record<string, Tensor> = Object.create(null)
    for (const spec of this.outputs) {
      const value = Object.hasOwn(given, spec.name) ? given[spec.name] : undefined
      const shape = concrete(spec.shape, rows)
      result[spec.name] =
        value === undefined ? new Tensor(spec.datatype, shape, zeros(spec, shape)) : outputTensor(spec, value, shape)
    }
    return result
  }

  #timed(result: Record<string, Tensor>, totalUs: number, batchSize: number, trace: boolean | undefined): Outputs {
    const us = Math.max(1, Math.round(totalUs))
    this.#stages.compute.record(us)
    this.#stages.total.record(us)
    if (trace) {
      const stages = { inbox: 0, queue: 0, prepare: 0, compute: us, publish: 0, wake: 0, total: us }
      const toServerTiming = (): string =>
        Object.entries(stages)
          .map(([stage, value]) => `${stage};dur=${value / 1000}`)
          .join(', ')
      const timing: Timing = { ...stages, batchSize, reason: 'idle', toServerTiming }
      Object.defineProperty(result, 'timing', { value: timing, enumerable: false })
    }
    return result as Outputs
  }
}

class FakeStream implements ModelStream {
  readonly #parts: AsyncGenerator<Outputs, undefined>

  constructor(parts: AsyncGenerator<Outputs, undefined>) {
    this.#parts = parts
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  next(): Promise<IteratorResult<Outputs, undefined>> {
    return this.#parts.next()
  }

  return(): Promise<IteratorResult<Outputs, undefined>> {
    return this.#parts.return(undefined)
  }

  throw(error: unknown): Promise<IteratorResult<Outputs, undefined>> {
    return this.#parts.throw(error)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return()
  }
}

class FakeSlot implements Slot {
  readonly #inputs: Record<string, Tensor>
  readonly #run: (options?: InferOptions) => Promise<Outputs>
  #released = false

  constructor(inputs: Record<string, Tensor>, run: (options?: InferOptions) => Promise<Outputs>) {
    this.#inputs = inputs
    this.#run = run
  }

  get inputs(): { readonly [name: string]: Tensor } {
    if (this.#released) throw new SubtenError('SLOT_RELEASED', 'the slot was released')
    return this.#inputs
  }

  async submit(options?: InferOptions): Promise<Outputs> {
    if (this.#released) throw new SubtenError('SLOT_RELEASED', 'the slot was released')
    return this.#run(options)
  }

  release(): void {
    this.#released = true
  }

  [Symbol.dispose](): void {
    this.release()
  }
}

function invalid(message: string): SubtenError {
  return new SubtenError('INVALID_INPUT', message)
}

function product(shape: readonly number[]): number {
  return shape.reduce((n, d) => n * d, 1)
}

function concrete(shape: readonly number[], rows: number): number[] {
  return shape.map((d, i) => (d >= 0 ? d : i === 0 ? rows : 1))
}

function zeros(spec: TensorSpec, shape: readonly number[]): never {
  const n = product(shape)
  return (spec.datatype === 'BYTES' ? new Array(n).fill('') : new STORAGE[spec.datatype].array(n)) as never
}

function toTensor(spec: TensorSpec, value: InputValue): Tensor {
  if (value instanceof WrittenInput) return toTensor(spec, written(value))
  const described: Partial<TensorInput> =
    'data' in (value as object) ? (value as TensorInput) : { data: value as TensorData }
  const data = described.data as ArrayLike<unknown>
  if (described.datatype !== undefined && described.datatype !== spec.datatype) {
    throw invalid(`input '${spec.name}' is ${spec.datatype}, not ${described.datatype}`)
  }
  const rightArray = spec.datatype === 'BYTES' ? Array.isArray(data) : data instanceof STORAGE[spec.datatype].array
  if (!rightArray) throw invalid(`input '${spec.name}' is ${spec.datatype}; its data has another type`)
  const shape = described.shape ?? inferShape(spec, data.length)
  if (
    shape.length !== spec.shape.length ||
    shape.some((d, i) => (spec.shape[i] as number) >= 0 && d !== spec.shape[i])
  ) {
    throw invalid(`input '${spec.name}' has shape [${shape}]; the model takes [${spec.shape}]`)
  }
  if (product(shape) !== data.length) {
    throw invalid(`input '${spec.name}' has ${data.length} elements; shape [${shape}] has ${product(shape)}`)
  }
  return new Tensor(spec.datatype, shape, data as never)
}

function written({ datatype, shape, bytes, write }: WrittenInput): TensorInput {
  const memory = new Uint8Array(bytes)
  write(memory)
  return { data: new STORAGE[datatype].array(memory.buffer, 0, product(shape)), shape, datatype }
}

function inferShape(spec: TensorSpec, length: number): number[] {
  const known = product(spec.shape.filter((d) => d >= 0))
  const unknown = spec.shape.lastIndexOf(-1)
  return spec.shape.map((d, i) => (d >= 0 ? d : i === unknown && known > 0 ? Math.floor(length / known) : 1))
}

function outputTensor(spec: TensorSpec, value: FakeOutput, shape: number[]): Tensor {
  if (value instanceof Tensor) return value
  const described = 'data' in value ? value : { data: value }
  const data = described.data as unknown as ArrayLike<never>
  const { array } = STORAGE[spec.datatype] as unknown as { array: Float32ArrayConstructor }
  const typed = spec.datatype === 'BYTES' || ArrayBuffer.isView(data) ? data : array.from(data)
  const given = 'shape' in described ? described.shape : undefined
  return new Tensor(
    spec.datatype,
    given ?? (product(shape) === data.length ? shape : inferShape(spec, data.length)),
    typed as never,
  )
}

function zeroCounts(): Mutable<RequestCounts> {
  return { submitted: 0, succeeded: 0, failed: 0, cancelled: 0, expired: 0, refused: 0, inFlight: 0 }
}

function newHistograms(): Record<Stage, RecordableHistogram> {
  return Object.fromEntries(STAGES.map((s) => [s, createHistogram()])) as Record<Stage, RecordableHistogram>
}

function summary(h: RecordableHistogram): StageSummary {
  if (h.count === 0) return { count: 0, mean: 0, p50: 0, p95: 0, p99: 0, p999: 0, max: 0 }
  const at = (p: number): number => h.percentile(p)
  return { count: h.count, mean: h.mean, p50: at(50), p95: at(95), p99: at(99), p999: at(99.9), max: h.max }
}

/** Counts are subtracted; percentiles stay those of the whole time, since a fake keeps no older histogram. */
function difference(now: Stats, before: Stats): Stats {
  const counts = Object.fromEntries(
    Object.entries(now.requests).map(([k, v]) => [
      k,
      k === 'inFlight' ? v : v - (before.requests[k as keyof RequestCounts] ?? 0),
    ]),
  )
  const count = now.batches.count - before.batches.count
  const rows = now.batches.count * now.batches.meanSize - before.batches.count * before.batches.meanSize
  return {
    ...now,
    requests: counts as unknown as RequestCounts,
    batches: {
      ...now.batches,
      count,
      meanSize: count === 0 ? 0 : rows / count,
      byReason: { ...now.batches.byReason, idle: count },
    },
  }
}
