import { SubtenError } from './errors.js'
import { checkAttributes } from './request-attributes.js'
import type { InferOptions } from './types.js'

/**
 * Checks the options of one request, before anything is done for it.
 *
 * @param attributes whether the engine takes ids, sequences and parameters
 * @throws SubtenError INVALID_INPUT naming the option, NOT_SUPPORTED for what the engine does not take
 */
export function checkRequestOptions(options: InferOptions | undefined, attributes: boolean): void {
  if (options === undefined) return
  if (typeof options !== 'object' || options === null) throw wrong('the options of a request', 'an object', options)
  const { priority, timeoutUs, signal } = options
  if (priority !== undefined && !(Number.isInteger(priority) && priority >= 0 && priority < 2 ** 32)) {
    throw wrong('priority', 'a whole number from 0', priority)
  }
  if (timeoutUs !== undefined && !(typeof timeoutUs === 'number' && timeoutUs >= 0)) {
    throw wrong('timeoutUs', 'a number of microseconds from 0', timeoutUs)
  }
  if (signal !== undefined && !(signal instanceof AbortSignal) && !isSignal(signal)) {
    throw wrong('signal', 'an AbortSignal', signal)
  }
  checkAttributes(options, attributes)
}

/** An AbortSignal of another realm or of a polyfill. */
function isSignal(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  const signal = value as Partial<AbortSignal>
  return typeof signal.aborted === 'boolean' && typeof signal.addEventListener === 'function'
}

function wrong(what: string, needs: string, given: unknown): SubtenError {
  const shown = typeof given === 'number' ? String(given) : given === null ? 'null' : `a ${typeof given}`
  return new SubtenError('INVALID_INPUT', `${what} must be ${needs}, not ${shown}`)
}
