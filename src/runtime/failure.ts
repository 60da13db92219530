import { errorFromNative, SubtenError } from './errors.js'

/** Why a request failed, before there is an error: whether and where one is made depends on who waits for it. */
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

  /**
   * A promise to resolve the caller's with. The error is made after the caller's promise has adopted this one (which
   * takes two turns of the microtask queue), so that its stack shows who awaits.
   */
  async rejection(): Promise<never> {
    await undefined
    await undefined
    throw this.error()
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
