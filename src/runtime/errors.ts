import { ERROR_TABLE, type ErrorCode, NATIVE_CODES } from './error-table.js'

export interface SubtenErrorOptions {
  /** What the user does about it; by default the remedy of the error table. */
  remedy?: string
  cause?: unknown
  /** Facts a program may want: `file`, `line` and `field` of a CONFIG_INVALID, for example. */
  details?: Readonly<Record<string, unknown>>
}

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

  /** The form that HTTP bodies carry. */
  toJSON(): { code: ErrorCode; message: string; remedy: string } {
    return { code: this.code, message: this.message, remedy: this.remedy }
  }
}

/** Turns a native status (1-based index into {@link NATIVE_CODES}) into an error. */
export function errorFromNative(status: number, message: string): SubtenError {
  return new SubtenError(NATIVE_CODES[status - 1] ?? 'ENGINE_FAILED', message)
}
