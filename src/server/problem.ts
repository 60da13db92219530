import { ERROR_TABLE } from '../runtime/error-table.js'
import { SubtenError } from '../runtime/errors.js'

/** An error as a client may see it: no stack, no path of this machine. */
export interface Problem {
  readonly status: number
  readonly code: string
  readonly message: string
  readonly remedy: string
}

/** Any thrown value as a {@link Problem}. What is not ours and not the client's fault says nothing about the inside. */
export function toProblem(error: unknown): Problem {
  if (error instanceof SubtenError) {
    const status = typeof error.details.http === 'number' ? error.details.http : ERROR_TABLE[error.code].http
    return { status, code: error.code, message: withoutPaths(error.message), remedy: withoutPaths(error.remedy) }
  }
  const { statusCode, message } = (error ?? {}) as { statusCode?: unknown; message?: unknown }
  if (typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500) {
    const remedy = 'Correct the request.'
    return { status: statusCode, code: 'INVALID_INPUT', message: withoutPaths(String(message)), remedy }
  }
  return {
    status: 500,
    code: 'INTERNAL',
    message: 'the server met an unexpected error',
    remedy: "Look into the server's log for the cause.",
  }
}

/** INVALID_INPUT with a status of its own (413, 415 and the like). */
export function refusal(http: number, message: string, remedy: string): SubtenError {
  return new SubtenError('INVALID_INPUT', message, { remedy, details: { http } })
}

/** Absolute paths shrink to their last part. */
export function withoutPaths(text: string): string {
  return text.replace(/(?<![\w:/.])\/(?:[\w.@+~-]+\/)+([\w.@+~-]*)/g, (whole, last: string) =>
    /^\/v[12]\//.test(whole) ? whole : last,
  )
}

/** A client's text inside a message: short, and without control characters. */
export function quoted(text: string): string {
  const shown = text.length > 80 ? `${text.slice(0, 80)}…` : text
  return JSON.stringify(shown)
}
