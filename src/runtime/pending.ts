import { unwatchAbort } from './abort.js'
import { Failure } from './failure.js'
import type { SlabView } from './outputs.js'
import type { InferOptions, Outputs } from './types.js'

type Resolve = (result: unknown) => void

const none: Resolve = () => {}
let resolver = none
/** One executor for every promise: `new Promise` calls it before it returns, so no closure is needed a request. */
const keepResolver = (resolve: Resolve): void => {
  resolver = resolve
}

/** Who can give a request up: its port. */
export interface Canceller {
  cancel(pending: Pending): void
}

/** A request on its way. */
export class Pending {
  slot = -1
  generation = 0
  settled = false
  readonly port: Canceller
  readonly options: InferOptions | undefined
  /** Of a claimed slot: what its outputs become. */
  readonly view: SlabView | undefined
  readonly #promise: Promise<unknown>
  readonly #resolve: Resolve

  constructor(port: Canceller, options: InferOptions | undefined, view: SlabView | undefined) {
    this.port = port
    this.options = options
    this.view = view
    this.#promise = new Promise<unknown>(keepResolver)
    this.#resolve = resolver
    resolver = none // or the last request would stay reachable, with the context of its caller
  }

  /** Of a request by `infer`. */
  get outputs(): Promise<Outputs> {
    return this.#promise as Promise<Outputs>
  }

  /** Of a claimed slot: whoever runs it takes a failure itself, since the claim needs it. */
  get result(): Promise<Outputs | Failure> {
    return this.#promise as Promise<Outputs | Failure>
  }

  settle(result: Outputs | Failure): void {
    if (this.settled) return
    this.settled = true
    const signal = this.options?.signal
    if (signal) unwatchAbort(signal, this)
    this.#resolve(result instanceof Failure && this.view === undefined ? result.rejection() : result)
  }

  abort(reason: unknown): void {
    if (this.settled) return
    this.port.cancel(this)
    this.settle(new Failure(() => reason, true))
  }
}
