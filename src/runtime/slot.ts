import { ClaimQueue, tooLate } from './claim-queue.js'
import { type ArrayOf, type Datatype, STORAGE } from './datatype.js'
import { budgetLeft } from './deadline.js'
import { SubtenError } from './errors.js'
import { Failure } from './failure.js'
import { invalid, product } from './inputs.js'
import type { Port } from './port.js'
import { checkRequestOptions } from './request-options.js'
import { Tensor } from './tensor.js'
import type { ClaimOptions, InferOptions, Outputs, Slot, TensorSpec } from './types.js'

/** A tensor in the memory of a claimed slot: `data` is a view that ends with the slot. */
class SlotTensor<T extends Datatype = Datatype> extends Tensor<T> {
  readonly #alive: () => boolean

  constructor(datatype: T, shape: readonly number[], data: ArrayOf[T], alive: () => boolean) {
    super(datatype, shape, data)
    this.#alive = alive
    // An own accessor over the own field of Tensor: a stale view must not be handed out.
    Object.defineProperty(this, 'data', { enumerable: true, get: () => this.#checked(data) })
  }

  #checked(data: ArrayOf[T]): ArrayOf[T] {
    if (!this.#alive())
      throw new SubtenError('SLOT_RELEASED', 'this tensor belongs to a slot that has been released or submitted again')
    return data
  }
}

const forgotten = new FinalizationRegistry<{ release(): void; model: string }>(({ release, model }) => {
  process.emitWarning(
    `a claimed slot of model '${model}' was garbage-collected without release(); it has been reclaimed`,
    {
      code: 'SUBTEN_SLOT_FORGOTTEN',
    },
  )
  release()
})

/** What outlives the `Slot` object: the claim on native memory. */
class Claim {
  slot: number
  generation: number
  released = false
  completed = false
  running = false
  /** The port gives the slot back, now or when its completion arrives. */
  leftToPort = false
  /** Raised with every submit and release: outputs of an earlier one are stale then. */
  epoch = 0
  readonly inputBuffers: ArrayBuffer[] = []
  outputBuffers: ArrayBuffer[] = []

  constructor(
    readonly port: Port,
    readonly onRelease: (claim: Claim) => void,
    slot: number,
  ) {
    this.slot = slot
    this.generation = port.generation(slot)
  }

  release(): void {
    if (this.released) return
    this.#end()
    if (this.port.closed) return
    if (this.running) {
      const error = (): SubtenError => new SubtenError('SLOT_RELEASED', 'the slot was released while its request ran')
      this.leftToPort = this.port.cancelSlot(this.slot, error)
    } else {
      this.giveBack()
    }
  }

  /** The request was aborted: the port gives the slot back. */
  abandon(): void {
    if (this.released) return
    this.leftToPort = true
    this.#end()
  }

  giveBack(): void {
    this.recycle()
    this.port.giveSlot(this.slot)
  }

  #end(): void {
    this.released = true
    this.epoch++
    if (!this.port.closed)
      for (const buffer of [...this.inputBuffers, ...this.outputBuffers]) this.port.native.detach(buffer)
    this.outputBuffers = []
    this.onRelease(this)
  }

  /** Drops the results of the last run, so that the slot is idle again. */
  recycle(): void {
    for (const buffer of this.outputBuffers) this.port.native.detach(buffer)
    this.outputBuffers = []
    if (!this.completed) return
    this.completed = false
    this.generation = this.port.native.release(this.slot, this.generation)
    this.port.setGeneration(this.slot, this.generation)
  }
}

class ClaimedSlot implements Slot {
  readonly inputs: { readonly [name: string]: Tensor }
  readonly #claim: Claim
  readonly #shapes: readonly (readonly number[])[]
  readonly #rows: number

  constructor(claim: Claim, inputs: Record<string, Tensor>, shapes: readonly (readonly number[])[], rows: number) {
    this.#claim = claim
    this.inputs = inputs
    this.#shapes = shapes
    this.#rows = rows
  }

  async submit(options?: InferOptions): Promise<Outputs> {
    const claim = this.#claim
    if (claim.released) throw new SubtenError('SLOT_RELEASED', 'the slot has been released')
    if (claim.running)
      throw new SubtenError('INVALID_INPUT', 'the slot is in flight; wait for its result before submitting it again')
    const { port } = claim
    if (port.closing) throw new SubtenError('MODEL_CLOSED', 'the model is closed')
    checkRequestOptions(options, port.attributes)
    const deadlineMs = port.budget(options)
    if (options?.signal?.aborted) throw options.signal.reason
    claim.recycle()
    const epoch = ++claim.epoch
    const stage = (): void => {
      this.#shapes.forEach((shape, index) => {
        port.stageInput(index, shape, (claim.inputBuffers[index] as ArrayBuffer).byteLength)
      })
    }
    const view = <T extends Datatype>(
      datatype: T,
      shape: readonly number[],
      offset: number,
      bytes: number,
    ): Tensor<T> => {
      const buffer = port.native.wrap(offset, bytes)
      claim.outputBuffers.push(buffer)
      const { array, bytes: size } = STORAGE[datatype]
      return new SlotTensor(
        datatype,
        shape,
        new array(buffer, 0, bytes / size) as ArrayOf[T],
        () => claim.epoch === epoch,
      )
    }
    claim.running = true
    const result = await port.requestSlot(claim.slot, claim.generation, this.#rows, stage, options, deadlineMs, view)
    claim.running = false
    if (!claim.leftToPort) claim.completed = true
    if (result instanceof Failure) {
      if (result.cancelled) claim.abandon()
      else if (claim.released && !claim.leftToPort) claim.giveBack()
      throw result.error()
    }
    if (!claim.released) return result
    if (!claim.leftToPort) claim.giveBack()
    throw new SubtenError('SLOT_RELEASED', 'the slot was released while its request ran')
  }

  release(): void {
    this.#claim.release()
  }

  [Symbol.dispose](): void {
    this.#claim.release()
  }
}

/** Hands out claimed slots of one port, at most `limit` at a time. */
export class Claims {
  readonly #port: Port
  readonly #model: string
  readonly #inputs: readonly TensorSpec[]
  readonly #batching: boolean
  readonly #maxRows: number
  readonly #limit: number
  readonly #held = new Set<Claim>()
  readonly #queue = new ClaimQueue((options) => {
    if (this.#port.closing) throw closed()
    return this.tryClaim(options)
  })

  constructor(port: Port, model: string, inputs: readonly TensorSpec[], maxBatchSize: number) {
    this.#port = port
    this.#model = model
    this.#inputs = inputs
    this.#batching = maxBatchSize > 0
    this.#maxRows = Math.max(1, maxBatchSize)
    this.#limit = Math.max(1, port.native.slots >> 2)
  }

  tryClaim(options: ClaimOptions = {}): Slot | null {
    const { rows, shapes } = this.#shapes(options)
    if (this.#held.size >= this.#limit) return null
    const port = this.#port
    const slot = port.takeSlot()
    if (slot < 0) return null
    const claim = new Claim(port, (ended) => this.#released(ended), slot)
    const inputs: Record<string, Tensor> = {}
    for (const [index, spec] of this.#inputs.entries()) {
      const shape = shapes[index] as readonly number[]
      const { array, bytes } = STORAGE[spec.datatype]
      const size = product(shape) * bytes
      const offset = port.native.allocate(slot, claim.generation, index, size)
      if (offset < 0) {
        const error = port.error(offset)
        for (const buffer of claim.inputBuffers) port.native.detach(buffer)
        port.giveSlot(slot)
        if (error.code === 'QUEUE_FULL') return null
        throw error
      }
      const buffer = port.native.wrap(offset, size)
      claim.inputBuffers.push(buffer)
      const data = new array(buffer, 0, product(shape)) as ArrayOf[Datatype]
      const tensor = new SlotTensor(spec.datatype, shape, data, () => !claim.released)
      Object.defineProperty(inputs, spec.name, { value: tensor, enumerable: true })
    }
    this.#held.add(claim)
    const claimed = new ClaimedSlot(claim, inputs, shapes, rows)
    forgotten.register(claimed, { release: () => claim.release(), model: this.#model }, claim)
    return claimed
  }

  async claim(options: ClaimOptions = {}): Promise<Slot> {
    options.signal?.throwIfAborted()
    // Of withDeadline: a claim has no deadline of its own.
    if (budgetLeft(undefined) === 0) throw tooLate()
    if (this.#port.closing) throw closed()
    if (this.#queue.size > 0) this.#shapes(options) // what is wrong is said at once
    // Who came before goes first.
    const slot = this.#queue.size === 0 ? this.tryClaim(options) : null
    return slot ?? this.#queue.wait(options)
  }

  releaseAll(): void {
    for (const claim of [...this.#held]) claim.release()
    this.#queue.serve()
  }

  #released(claim: Claim): void {
    this.#held.delete(claim)
    forgotten.unregister(claim)
    this.#queue.serve()
  }

  #shapes(options: ClaimOptions): { rows: number; shapes: readonly (readonly number[])[] } {
    const rows = options.rows ?? 1
    if (!Number.isInteger(rows) || rows < 1)
      throw new SubtenError('INVALID_INPUT', `a slot needs a whole number of rows from 1, not ${rows}`)
    if (rows > this.#maxRows)
      throw new SubtenError(
        'BATCH_TOO_LARGE',
        `a slot of ${rows} rows was asked for; the model takes at most ${this.#maxRows}`,
      )
    const shapes = this.#inputs.map((spec) => {
      if (spec.datatype === 'BYTES')
        throw new SubtenError(
          'NOT_SUPPORTED',
          `input '${spec.name}' holds strings, which have no fixed place in memory; use infer()`,
        )
      const given = options.shapes && Object.hasOwn(options.shapes, spec.name) ? options.shapes[spec.name] : undefined
      if (given !== undefined && !Array.isArray(given))
        throw invalid(spec, 'was given a shape that is no list of numbers')
      const shape = given ? [...given] : [...spec.shape]
      if (!given && this.#batching) shape[0] = rows
      if (shape.some((dim) => !Number.isSafeInteger(dim) || dim < 0))
        throw invalid(
          spec,
          `has unknown dimensions in [${spec.shape}]: give claim({ shapes: { '${spec.name}': [...] } })`,
        )
      const fits =
        shape.length === spec.shape.length &&
        shape.every((dim, i) => (spec.shape[i] as number) < 0 || spec.shape[i] === dim)
      if (!fits || (this.#batching && shape[0] !== rows))
        throw invalid(spec, `was given shape [${shape}] for ${rows} rows; the model takes [${spec.shape}]`)
      return shape
    })
    return { rows, shapes }
  }
}

function closed(): SubtenError {
  return new SubtenError('MODEL_CLOSED', 'the model is closed')
}
