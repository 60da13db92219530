import { errorFromNative, SubtenError } from './errors.js'

/**
 * Why a request failed. Promises inside the port *resolve* with it; `infer` throws the error from its own frame, so
 * that the stack of the error shows the caller.
 */
export class Failure {
  readonly #make: () => unknown
  /** The request was given up while it was under way: its slot comes back without whoever waited for it. */
  readonly cancelled: boolean

  constructor(make: () => unknown, cancelled = false) {
    this.#make = make
    this.cancelled = cancelled
  }

  /** What the caller's promise rejects with. */
  error(): unknown {
    return this.#make()
  }

  static aborted(signal: AbortSignal): Failure {
    const { reason } = signal
    return new Failure(() => reason)
  }

  static native(status: number, message: string): Failure {
    return new Failure(() => errorFromNative(status, message))
  }

  static of(...args: ConstructorParameters<typeof SubtenError>): Failure {
    return new Failure(() => new SubtenError(...args))
  }
}
