import { AsyncResource } from 'node:async_hooks'
import { RequestIds } from '../flight/request-ids.js'
import { watchAbort } from './abort.js'
import type { NativePort } from './binding.js'
import { type NumericData, STORAGE } from './datatype.js'
import { budgetLeft } from './deadline.js'
import { NATIVE_CODES } from './error-table.js'
import { errorFromNative, SubtenError } from './errors.js'
import { Failure } from './failure.js'
import { lengthOf, type ReadyInput, readyInput } from './inputs.js'
import { LeasedSlots } from './leased-slots.js'
import { OutputReader, type SlabView } from './outputs.js'
import { Pending } from './pending.js'
import { KIND, MAX_RANK, propertyName, STAGED_BYTES, WORD } from './record.js'
import { attributesOf } from './request-attributes.js'
import { reshape } from './reshape.js'
import { inRootContext } from './root-context.js'
import type { StreamRequest } from './stream.js'
import type { InferOptions, Inputs, InputValue, Outputs, TensorSpec } from './types.js'

const QUEUE_FULL = -(NATIVE_CODES.indexOf('QUEUE_FULL') + 1)
const SLO_UNREACHABLE = -(NATIVE_CODES.indexOf('SLO_UNREACHABLE') + 1)
/** Of requests that were good, and that the model had no room for. */
const REFUSALS: readonly number[] = [QUEUE_FULL, SLO_UNREACHABLE, -(NATIVE_CODES.indexOf('OUT_OF_MEMORY') + 1)]
const STAGED = 1
const EXPLICIT = 2
/** Place in `taken`, behind the records: not 0 when another port is out of slots. */
const SLOTS_WANTED = 1024
/** And behind that: how much of the chunk of results native code has used. */
const CHUNK_USED = 1025
/** And behind that: how many slow requests of this port were kept. */
export const SLOW_KEPT = 1026
const MIN_DRAIN = 16
const MAX_DRAIN = 1024
/** Drains and continuations may take this much of a turn of the event loop, milliseconds. */
const TURN_MS = 0.5
const STAGED_DOUBLES = STAGED_BYTES / 8

/** Ports with requests in flight: an abandoned model may be collected, but not before its requests have ended. */
const busy = new Set<Port>()

/** A request on its way, and what becomes of its end: the promise of `infer`, a claimed slot, or a stream. */
interface Tracked {
  slot: number
  generation: number
  readonly settled: boolean
  readonly options: InferOptions | undefined
  readonly view: SlabView | undefined
  settle(result: Outputs | Failure): void
  abort(reason: unknown): void
}

/** A submission that did not fit and waits for room (`whenFull: 'wait'`). */
interface Waiting {
  readonly pending: Tracked
  readonly since: number
  readonly deadlineMs: number
  timer?: NodeJS.Timeout
  /** Tries once more, with so many milliseconds left; QUEUE_FULL: there is still no room. */
  readonly retry: (leftMs: number) => number
}

function waitedTooLong(): Failure {
  return Failure.of('DEADLINE_EXCEEDED', 'the deadline passed while the request waited for room')
}

/**
 * The JS half of a port: writes inputs into the slab, submits, and resolves promises from completions. Every protocol
 * (claims, states, rings, wakes) runs in native code; here are only a free list of leased slots and the promises.
 */
export class Port {
  readonly native: NativePort
  readonly #inputs: readonly TensorSpec[]
  readonly #batching: boolean
  readonly #maxRows: number
  readonly #reader: OutputReader
  readonly #taken: Uint32Array
  readonly #staging: Float64Array
  readonly #bytes: Uint8Array
  /** Fixed one-row inputs of home slots: a view on the whole slab, first element, elements a row, the array to be given. */
  readonly #home: {
    name: string
    view: NumericData
    start: number
    length: number
    array: abstract new (...args: never[]) => unknown
  }[] = []
  readonly #homeSlots: number
  // The hot calls, taken off the native object once: an object with that many properties is looked up by name.
  readonly #submitHome: NativePort['submitHome']
  readonly #take: NativePort['take']
  readonly #slots: LeasedSlots
  readonly #pendings: (Tracked | undefined)[]
  /** Whether the engine takes request ids, sequences and parameters. */
  readonly attributes: boolean
  /** Streams that have not ended. */
  readonly #streams = new Set<StreamRequest>()
  readonly #waiting: Waiting[] = []
  #waitTimer: NodeJS.Timeout | undefined
  readonly ids = new RequestIds()
  /** Called when native code has kept a slow request. */
  onSlow: (() => void) | undefined
  #slowKept = 0
  #inFlight = 0
  #drainLimit = 256
  #drainScheduled = false
  #idle: (() => void)[] = []
  /** Deadline of requests that have none of their own, milliseconds; -1: none. */
  defaultDeadlineMs = -1
  /** The `slo.p99Ms` of the model; -1: none. */
  sloMs = -1
  /** Requests of `infer` that are refused with SLO_UNREACHABLE may be answered elsewhere: they are not counted here yet. */
  unreachableElsewhere = false
  /** The model is being closed: what is under way ends, nothing new is taken. */
  closing = false
  closed = false

  constructor(
    native: NativePort,
    inputs: readonly TensorSpec[],
    outputs: readonly TensorSpec[],
    maxBatchSize: number,
    attributes = false,
  ) {
    this.native = native
    this.attributes = attributes
    this.#inputs = inputs
    this.#batching = maxBatchSize > 0
    this.#maxRows = Math.max(1, maxBatchSize)
    this.#reader = new OutputReader(native, outputs)
    this.#taken = new Uint32Array(native.taken)
    this.#staging = new Float64Array(native.staging)
    this.#bytes = new Uint8Array(native.slab)
    this.#slots = new LeasedSlots(native)
    this.#pendings = new Array<Pending | undefined>(native.slots)
    this.#submitHome = native.submitHome
    this.#take = native.take
    this.#homeSlots = native.homeSlots
    if (native.homeSlots > 0) {
      inputs.forEach((spec, index) => {
        const { array, bytes } = STORAGE[spec.datatype]
        const length = spec.shape.slice(this.#batching ? 1 : 0).reduce((a, b) => a * b, 1)
        const view = new array(native.slab, 0, Math.floor(native.slab.byteLength / bytes))
        this.#home.push({
          name: propertyName(spec.name),
          view,
          start: (native.homeOffsets[index] as number) / bytes,
          length,
          array,
        })
      })
    }
  }

  get inFlight(): number {
    return this.#inFlight + this.#waiting.length
  }

  /** Milliseconds left for a request that asks for `deadlineMs`; -1: no deadline. Throws where none are left. */
  budget(options: InferOptions | undefined): number {
    const left = this.timeLeft(options)
    if (options?.deadlineMs !== undefined || this.defaultDeadlineMs < 0) return left
    return left < 0 ? this.defaultDeadlineMs : Math.min(left, this.defaultDeadlineMs)
  }

  /** The same, whatever the model's own deadline is. */
  timeLeft(options: InferOptions | undefined): number {
    const left = budgetLeft(options?.deadlineMs)
    // Of a request that was aborted as well, that is what its caller is told.
    if (left !== 0 || options?.signal?.aborted) return left
    this.countExpired()
    throw new SubtenError('DEADLINE_EXCEEDED', 'the deadline had passed when the request was made')
  }

  /** A request ends here, before native code had it for good: counted, so that figures tell of it. */
  #refused(status: number, elsewhere = false): number {
    if (REFUSALS.includes(status) && !this.closed && !(elsewhere && status === SLO_UNREACHABLE)) {
      this.native.turnedAway(0)
    }
    return status
  }

  /** A request that nobody could answer elsewhere. */
  countRefused(): void {
    if (!this.closed) this.native.turnedAway(0)
  }

  /** A request whose time was up before it was made. */
  countExpired(): void {
    if (!this.closed) this.native.turnedAway(1)
  }

  #tooLate(entry: Waiting): void {
    if (entry.pending.settled) return
    this.countExpired()
    entry.pending.settle(waitedTooLong())
  }

  /** Submits one request. Throws for inputs that are wrong and for what native code refuses. */
  request(inputs: Inputs, options: InferOptions | undefined, deadlineMs: number, wait: boolean): Promise<Outputs> {
    if (options?.signal?.aborted) throw Failure.aborted(options.signal).error()
    // Whoever waits for room is served first.
    const slot = wait && this.#waiting.length > 0 ? -1 : this.takeSlot()
    if (slot < 0) {
      if (wait) return this.#waitInfer(inputs, options, deadlineMs)
      this.#refused(QUEUE_FULL)
      throw new SubtenError('QUEUE_FULL', 'all request slots of the model are in use')
    }
    let status = QUEUE_FULL
    try {
      status = this.#submit(slot, inputs, options, deadlineMs)
    } finally {
      if (status < 0) this.giveSlot(slot)
    }
    if (status >= 0) {
      const pending = new Pending(this, options, undefined)
      this.#track(pending, slot)
      return pending.outputs
    }
    if (status === QUEUE_FULL && wait) return this.#waitInfer(inputs, options, deadlineMs)
    throw this.error(this.#refused(status, this.unreachableElsewhere), deadlineMs)
  }

  #waitInfer(inputs: Inputs, options: InferOptions | undefined, deadlineMs: number): Promise<Outputs> {
    const pending = new Pending(this, options, undefined)
    this.#wait(pending, inputs, deadlineMs)
    return pending.outputs
  }

  /** Submits the request of a stream. Throws as {@link request} does. */
  stream(request: StreamRequest, inputs: Inputs, deadlineMs: number, wait: boolean): void {
    const { options } = request
    if (options?.signal?.aborted) throw Failure.aborted(options.signal).error()
    const status = this.#waiting.length > 0 && wait ? QUEUE_FULL : this.#trySubmit(request, inputs, deadlineMs)
    if (status === QUEUE_FULL && wait) this.#wait(request, inputs, deadlineMs)
    else if (status < 0) throw this.error(this.#refused(status), deadlineMs)
    this.#streams.add(request)
    if (this.closing) request.closing()
  }

  /** The stream has ended: nothing of it is in flight any more. */
  streamEnded(request: StreamRequest): void {
    this.#streams.delete(request)
  }

  /** Back-pressure: the engine waits before it sends the next part, or goes on. */
  pause({ slot, generation }: StreamRequest, on: boolean): void {
    if (slot >= 0 && !this.closed) this.native.pause?.(slot, generation, on)
  }

  /** Submits a claimed slot whose inputs lie in its extents. */
  requestSlot(
    slot: number,
    generation: number,
    rows: number,
    stage: () => void,
    options: InferOptions | undefined,
    deadlineMs: number,
    view: SlabView,
  ): Promise<Outputs | Failure> {
    if (options?.signal?.aborted) return Promise.resolve(Failure.aborted(options.signal))
    stage()
    let status = this.attributes ? this.#setAttributes(slot, generation, options) : 0
    if (status >= 0) {
      status = this.native.submit(
        slot,
        generation,
        rows,
        options?.priority ?? 0,
        deadlineMs,
        options?.timeoutUs ?? 0,
        STAGED | EXPLICIT,
      )
    }
    if (status < 0) return Promise.resolve(this.failure(this.#refused(status), deadlineMs))
    this.#slots.setGeneration(slot, generation)
    const pending = new Pending(this, options, view)
    this.#track(pending, slot)
    return pending.result
  }

  failure(status: number, deadlineMs = -1): Failure {
    // Asked now: the prediction is that of the last submission.
    if (status === SLO_UNREACHABLE) return Failure.of('SLO_UNREACHABLE', ...this.#unreachable(deadlineMs))
    return Failure.native(-status, this.#message(-status))
  }

  /** What was predicted of the submission that was refused last, which had so many milliseconds; < 0: its model's. */
  #unreachable(deadlineMs: number): [message: string, options: { details: Record<string, number> }] {
    const budgetMs = deadlineMs < 0 ? this.sloMs : deadlineMs
    const predictedNs = this.native.predictedNs?.() ?? 0
    const predictedMs = Math.abs(predictedNs) / 1e6
    const when = `the request would end ${predictedMs.toFixed(1)} ms from now`
    const left = `${budgetMs.toFixed(1)} ms of its budget are left`
    // Below 0: it would itself be in time. In time by less than the margin: see Admission::admit().
    const cause =
      predictedNs < 0
        ? ', but make requests late that were admitted before;'
        : predictedMs > budgetMs
          ? ', and'
          : ', too close to its limit while requests are refused;'
    return [`${when}${cause} ${left}`, { details: { predictedMs, budgetMs } }]
  }

  /** What native code said of the last failed call; refusals that happen often carry no text of their own. */
  #message(code: number): string {
    const said = this.native.message(-1)
    if (said) return said
    const name = NATIVE_CODES[code - 1]
    if (name === 'QUEUE_FULL') return 'the queue of the model, or its memory, is full'
    if (name === 'MODEL_CLOSED') return 'the model is closed'
    if (name === 'OUT_OF_MEMORY') return 'the request is larger than the memory of the model'
    if (name === 'SLOT_RELEASED') return 'the slot has been released'
    return 'the request was refused'
  }

  /** Runs one request on this thread. Throws; the outputs are copies. */
  requestSync(inputs: Inputs, bytes: boolean, trace: boolean): Outputs {
    const slot = this.takeSlot()
    if (slot < 0) {
      this.#refused(QUEUE_FULL)
      throw new SubtenError('QUEUE_FULL', 'all request slots of the model are in use')
    }
    try {
      const record = this.#runSync(slot, inputs)
      if (record < 0) throw this.error(record)
      try {
        const outputs = this.#reader.read(record, bytes)
        if (trace) Object.defineProperty(outputs, 'timing', { value: this.timingOf(record), enumerable: false })
        return outputs
      } finally {
        this.native.releaseSync()
      }
    } finally {
      this.giveSlot(slot)
    }
  }

  timingOf(record: number): ReturnType<OutputReader['timing']> {
    return this.#reader.timing(record, Number(process.hrtime.bigint()))
  }

  // --- slots ---------------------------------------------------------------------------------------------------------

  /** A free slot, or -1. */
  takeSlot(): number {
    return this.#slots.take()
  }

  /** Returns an idle slot; its extents go back to the slab. */
  giveSlot(slot: number): void {
    // A request that was refused leaves its attributes: the next one of the slot may have none.
    if (this.attributes) this.native.attributes?.(slot, this.#slots.generation(slot), '', '', 0, [])
    this.native.abandon(slot, this.#slots.generation(slot))
    this.#slots.put(slot)
  }

  generation(slot: number): number {
    return this.#slots.generation(slot)
  }

  setGeneration(slot: number, generation: number): void {
    this.#slots.setGeneration(slot, generation)
  }

  // --- submitting ------------------------------------------------------------------------------------------------------

  #submit(slot: number, inputs: Inputs, options: InferOptions | undefined, deadlineMs: number): number {
    const generation = this.#slots.generation(slot)
    const home = slot < this.#homeSlots && this.#writeHome(slot, inputs)
    if (this.attributes) {
      const status = this.#setAttributes(slot, generation, options)
      if (status < 0) return status
    }
    if (home && deadlineMs < 0 && options?.priority === undefined && options?.timeoutUs === undefined)
      return this.#submitHome(slot, generation)
    const rows = home ? 1 : this.#stage(slot, inputs)
    if (rows < 0) return rows
    const { priority = 0, timeoutUs = 0 } = options ?? {}
    return this.native.submit(slot, generation, rows, priority, deadlineMs, timeoutUs, home ? 0 : STAGED)
  }

  #setAttributes(slot: number, generation: number, options: InferOptions | undefined): number {
    const attributes = attributesOf(options)
    if (attributes === undefined) return 0
    const { id, sequence, flags, parameters } = attributes
    return this.native.attributes?.(slot, generation, id, sequence, flags, parameters) ?? 0
  }

  #runSync(slot: number, inputs: Inputs): number {
    const home = slot < this.#homeSlots && this.#writeHome(slot, inputs)
    const rows = home ? 1 : this.#stage(slot, inputs)
    if (rows < 0) return rows
    return this.native.runSync(slot, this.#slots.generation(slot), rows, 0, -1, 0, home ? 0 : STAGED)
  }

  /** The usual case: exactly the model's inputs, each one row in the right array. False: not the usual case. */
  #writeHome(slot: number, inputs: Inputs): boolean {
    const home = this.#home
    let given = 0
    for (const _ in inputs) given++
    if (given !== home.length) return false
    for (let i = 0; i < home.length; i++) {
      const { name, view, start, length, array } = home[i] as (typeof home)[number]
      const value = inputs[name]
      // By the array's own accessor: a `length` of the caller's may lie, and the row of another request is next.
      if (!ArrayBuffer.isView(value) || !(value instanceof array) || lengthOf.call(value) !== length) return false
      ;(view as Float32Array).set(value as Float32Array, start + slot * length)
    }
    return true
  }

  /** Any other request: checks every tensor, puts it into an extent, and describes it in the staging area. */
  #stage(slot: number, inputs: Inputs): number {
    if (typeof inputs !== 'object' || inputs === null)
      throw new SubtenError('INVALID_INPUT', 'infer needs an object of tensors by name')
    this.#checkNames(inputs)
    let rows = this.#batching ? -1 : 1
    // Everything is read first: accessors of the caller run there, and may call infer() themselves.
    const readies: (ReadyInput | undefined)[] = []
    for (let index = 0; index < this.#inputs.length; index++) {
      const spec = this.#inputs[index] as TensorSpec
      const value = Object.hasOwn(inputs, spec.name) ? inputs[spec.name] : undefined
      if (value === undefined || value === null) {
        if (!spec.optional)
          throw new SubtenError('INVALID_INPUT', `input '${spec.name}' is missing`, { details: { tensor: spec.name } })
        readies.push(undefined)
        continue
      }
      const ready = readyInput(spec, value as InputValue, this.#batching)
      if (this.#batching) {
        const own = ready.shape[0] as number
        if (rows === -1) rows = own
        this.#checkRows(spec, own, rows)
      }
      readies.push(ready)
    }
    const generation = this.#slots.generation(slot)
    for (const [index, ready] of readies.entries()) {
      if (ready === undefined) {
        this.#staging[index * STAGED_DOUBLES] = 0
        continue
      }
      const offset = this.native.allocate(slot, generation, index, ready.bytes)
      if (offset < 0) return offset
      ready.write(this.#bytes.subarray(offset, offset + ready.bytes))
      this.stageInput(index, ready.shape, ready.bytes)
    }
    return rows === -1 ? 1 : rows
  }

  /** Describes input `index` for the next native call; the engine gets it in its own shape. */
  stageInput(index: number, given: readonly number[], bytes: number): void {
    const { shape: declared, engineShape } = this.#inputs[index] as TensorSpec
    const shape = engineShape === undefined ? given : reshape(given, declared, engineShape)
    const at = index * STAGED_DOUBLES
    this.#staging[at] = 1
    this.#staging[at + 1] = bytes
    this.#staging[at + 2] = shape.length
    for (let i = 0; i < shape.length && i < MAX_RANK; i++) this.#staging[at + 3 + i] = shape[i] as number
  }

  #checkRows(spec: TensorSpec, own: number, rows: number): void {
    if (own === 0)
      throw new SubtenError('INVALID_INPUT', `input '${spec.name}' has no rows`, { details: { tensor: spec.name } })
    if (own !== rows) {
      throw new SubtenError('INVALID_INPUT', `input '${spec.name}' has ${own} rows, another input has ${rows}`, {
        details: { tensor: spec.name },
      })
    }
    if (rows > this.#maxRows) {
      throw new SubtenError('BATCH_TOO_LARGE', `the request has ${rows} rows; the model takes at most ${this.#maxRows}`)
    }
  }

  #checkNames(inputs: Inputs): void {
    for (const name of Object.keys(inputs)) {
      if (this.#inputs.some((spec) => spec.name === name)) continue
      const known = this.#inputs.map((spec) => `'${spec.name}'`).join(', ')
      throw new SubtenError('INVALID_INPUT', `the model has no input '${name}'; it takes ${known}`, {
        details: { tensor: name },
      })
    }
  }

  #track(pending: Tracked, slot: number): void {
    pending.slot = slot
    pending.generation = this.#slots.generation(slot)
    this.#pendings[slot] = pending
    if (this.#inFlight++ === 0) busy.add(this)
    const signal = pending.options?.signal
    if (signal) watchAbort(signal, pending)
  }

  // --- waiting for room ------------------------------------------------------------------------------------------------

  #wait(pending: Tracked, inputs: Inputs, deadlineMs: number): void {
    const { options } = pending
    // Accessors of the inputs run in the context of their caller, not of whoever makes room.
    const retry = AsyncResource.bind((left: number): number => this.#retry(pending, inputs, left))
    const entry: Waiting = { pending, since: performance.now(), deadlineMs, retry }
    this.#waiting.push(entry)
    if (options?.signal) watchAbort(options.signal, pending)
    if (deadlineMs >= 0) {
      entry.timer = setTimeout(() => this.#tooLate(entry), Math.min(deadlineMs, 2 ** 31 - 1))
    }
    if (this.#inFlight === 0) this.#armWaitTimer()
  }

  #retry(pending: Tracked, inputs: Inputs, deadlineMs: number): number {
    return this.#trySubmit(pending, inputs, deadlineMs)
  }

  #trySubmit(pending: Tracked, inputs: Inputs, deadlineMs: number): number {
    const slot = this.takeSlot()
    if (slot < 0) return QUEUE_FULL
    let status = QUEUE_FULL
    try {
      status = this.#submit(slot, inputs, pending.options, deadlineMs)
    } finally {
      if (status < 0) this.giveSlot(slot)
    }
    if (status >= 0) this.#track(pending, slot)
    return status
  }

  /** Room may come from other environments, of which this one hears nothing. */
  #armWaitTimer(): void {
    this.#waitTimer ??= setTimeout(() => {
      this.#waitTimer = undefined
      this.#retryWaiting()
    }, 1)
  }

  #retryWaiting(): void {
    let done = 0
    for (; done < this.#waiting.length; done++) {
      const entry = this.#waiting[done] as Waiting
      if (entry.pending.settled) continue
      const left = entry.deadlineMs < 0 ? -1 : entry.deadlineMs - (performance.now() - entry.since)
      if (entry.deadlineMs >= 0 && left <= 0) {
        this.#tooLate(entry)
        continue
      }
      let status: number
      try {
        status = entry.retry(left)
      } catch (error) {
        entry.pending.settle(new Failure(() => error))
        continue
      }
      if (status === QUEUE_FULL) break
      clearTimeout(entry.timer)
      if (status < 0) {
        const elsewhere = this.unreachableElsewhere && !('part' in entry.pending)
        entry.pending.settle(this.failure(this.#refused(status, elsewhere), left))
      }
    }
    this.#waiting.splice(0, done)
    if (this.#waiting.length > 0 && this.#inFlight === 0) this.#armWaitTimer()
    this.#checkIdle()
  }

  // --- completing --------------------------------------------------------------------------------------------------------

  /** Called by native code when completions may be waiting. */
  onWake(): void {
    if (!this.#drainScheduled) this.#drain()
  }

  #drain(): void {
    const reader = this.#reader
    const limit = this.#drainLimit
    const since = performance.now()
    let drained = 0
    for (;;) {
      const room = reader.room(limit - drained)
      const count = this.#take(room, reader.chunk, reader.used)
      if (count > 0) reader.filled(this.#taken[CHUNK_USED] as number, count)
      for (let i = 0; i < count; i++) this.#complete(this.#taken[i] as number)
      drained += count
      if (count === 0) break
      if (drained >= limit) {
        this.#take(0, undefined, 0)
        this.#continueLater(since)
        break
      }
    }
    this.#afterDrain()
  }

  /**
   * Continuations of what was resolved run now; the rest comes in the next turn. The limit follows what drains and
   * continuations take: a short time, or as much of a turn as everything else, since whoever drains less than comes in
   * while others take their time falls behind for good.
   */
  #continueLater(since: number): void {
    this.#drainScheduled = true
    let own = 0
    // Behind the continuations in the queue.
    queueMicrotask(() => {
      own = performance.now() - since
    })
    const next = (): void => {
      this.#drainScheduled = false
      const others = performance.now() - since - own
      this.#drainLimit =
        own > Math.max(TURN_MS, others)
          ? Math.max(MIN_DRAIN, this.#drainLimit >> 1)
          : Math.min(MAX_DRAIN, this.#drainLimit << 1)
      if (!this.closed) this.#drain()
    }
    // In the root context, or the immediate would keep that of whoever called infer first.
    inRootContext(() => setImmediate(next))
  }

  #complete(record: number): void {
    const reader = this.#reader
    const slot = reader.word(record, WORD.slot)
    const generation = reader.word(record, WORD.generation)
    const pending = this.#pendings[slot]
    if (pending === undefined || pending.generation !== generation) return
    // The record of an end is that of its slot; those behind them are parts.
    if (record >= this.#pendings.length) {
      this.#part(record, pending)
      return
    }
    this.#pendings[slot] = undefined
    this.#inFlight--
    if (pending.options?.id !== undefined) this.ids.set(slot, generation, pending.options.id)
    const result = this.#result(record, pending)
    if (pending.view === undefined) {
      this.#slots.setGeneration(slot, generation + 1)
      this.#slots.put(slot)
    } else if (pending.settled) {
      // A claimed slot whose claim ended while it ran: nobody else gives it back.
      this.#slots.setGeneration(slot, this.native.release(slot, generation))
      this.giveSlot(slot)
    }
    pending.settle(result)
  }

  /** One of the responses of a stream; what infer() gets of a model that should have sent one is passed over. */
  #part(record: number, pending: Tracked): void {
    if (pending.settled || !('part' in pending)) return
    const stream = pending as StreamRequest
    const part = this.#result(record, pending)
    // A part that cannot be read is the end, as it is for infer().
    if (part instanceof Failure) stream.giveUp(part)
    else stream.part(part)
  }

  #result(record: number, pending: Tracked): Outputs | Failure {
    const reader = this.#reader
    if (reader.word(record, WORD.kind) === KIND.error) {
      const status = reader.word(record, WORD.status)
      const message =
        NATIVE_CODES[status - 1] === 'DEADLINE_EXCEEDED'
          ? 'the request waited in the queue past its deadline'
          : this.native.message(record)
      return Failure.native(status, message || 'the engine gave no reason')
    }
    if (pending.settled) return new Failure(() => undefined)
    const { options } = pending
    try {
      const outputs = reader.read(record, options?.bytes === true, pending.view)
      if (options?.trace) Object.defineProperty(outputs, 'timing', { value: this.timingOf(record), enumerable: false })
      return outputs
    } catch (error) {
      return new Failure(() => error)
    }
  }

  #afterDrain(): void {
    if (this.#taken[SLOW_KEPT] !== this.#slowKept) {
      this.#slowKept = this.#taken[SLOW_KEPT] as number
      this.onSlow?.()
    }
    if (this.#waiting.length > 0) this.#retryWaiting()
    if (this.#taken[SLOTS_WANTED] !== 0 && !this.closed) this.#slots.returnFree()
    if (this.#inFlight === 0) busy.delete(this)
    this.#checkIdle()
  }

  /**
   * Gives up a request, `late` when its time was up. Its slot goes back to the core when native code lets go of it.
   */
  cancel(pending: Tracked, late = false): void {
    if (pending.slot < 0 || this.#pendings[pending.slot] !== pending) return
    if (!this.native.cancel(pending.slot, pending.generation, late ? 1 : 0)) return // its completion is on the way and frees the slot
    this.#pendings[pending.slot] = undefined
    this.#inFlight--
    this.#afterDrain()
  }

  /** Cancels whatever runs in a claimed slot; false when nothing does. */
  cancelSlot(slot: number, reason: () => unknown): boolean {
    const pending = this.#pendings[slot]
    if (pending === undefined) return false
    this.cancel(pending)
    pending.settle(new Failure(reason, true))
    return true
  }

  #checkIdle(): void {
    if (this.inFlight > 0 || this.#idle.length === 0) return
    for (const resolve of this.#idle.splice(0)) resolve()
  }

  /** Nothing new is taken; streams that nobody reads end. */
  beginClosing(): void {
    this.closing = true
    for (const stream of this.#streams) stream.closing()
  }

  /** Resolves when nothing is in flight. */
  async idle(): Promise<void> {
    if (this.inFlight > 0) await new Promise<void>((resolve) => this.#idle.push(resolve))
  }

  /** False: the engine has not come back from a run within the time that native code waits for it. */
  async close(): Promise<boolean> {
    this.closed = true
    clearTimeout(this.#waitTimer)
    const { slab, records, taken, staging } = this.native
    const ended = this.native.close()
    // A request that an accessor of its caller began while the model was being closed: nobody else ends it.
    for (const pending of this.#pendings) pending?.settle(Failure.of('MODEL_CLOSED', 'the model is closed'))
    for (const { pending, timer } of this.#waiting.splice(0)) {
      clearTimeout(timer)
      pending.settle(Failure.of('MODEL_CLOSED', 'the model is closed'))
    }
    this.#pendings.length = 0
    this.#inFlight = 0
    busy.delete(this)
    for (const buffer of [slab, records, taken, staging]) this.native.detach(buffer)
    return (await ended) !== false
  }

  error(status: number, deadlineMs = -1): SubtenError {
    if (status === SLO_UNREACHABLE) return new SubtenError('SLO_UNREACHABLE', ...this.#unreachable(deadlineMs))
    return errorFromNative(-status, this.#message(-status))
  }
}
