import { ERROR_TABLE, type ErrorCode, NATIVE_CODES } from './error-table.js'

export interface SubtenErrorOptions {
  /** What the user does about it; by default the remedy of the error table. */
  remedy?: string
  cause?: unknown
  /** Facts a program may want: `file`, `line` and `field` of a CONFIG_INVALID, for example. */
  details?: Readonly<Record<string, unknown>>
}

/** Names an error of subten in whichever copy of this file made it: the ESM one, the CommonJS one, or one in a bundle. */
const BRAND = Symbol.for('subten.SubtenError')

/** The one error class of subten: a stable `code`, a sentence that says what was wrong, and what to do about it. */
export class SubtenError extends Error {
  readonly code: ErrorCode
  readonly remedy: string
  readonly details: Readonly<Record<string, unknown>>

  constructor(code: ErrorCode, message: string, options: SubtenErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.remedy = options.remedy ?? ERROR_TABLE[code].remedy
    this.details = options.details ?? {}
  }

  override get name(): string {
    return 'SubtenError'
  }

  /** @internal */
  get [BRAND](): true {
    return true
  }

  /** The form that HTTP bodies carry. */
  toJSON(): { code: ErrorCode; message: string; remedy: string } {
    return { code: this.code, message: this.message, remedy: this.remedy }
  }
}

// An error made by the other module format is one as well: `import` and `require` of subten may meet in a process.
Object.defineProperty(SubtenError, Symbol.hasInstance, {
  value(this: typeof SubtenError, value: unknown): boolean {
    if (this !== SubtenError) return Function.prototype[Symbol.hasInstance].call(this, value)
    return typeof value === 'object' && value !== null && BRAND in value
  },
})

/** Turns a native status (1-based index into {@link NATIVE_CODES}) into an error. */
export function errorFromNative(status: number, message: string): SubtenError {
  return new SubtenError(NATIVE_CODES[status - 1] ?? 'ENGINE_FAILED', message)
}
