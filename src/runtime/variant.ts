import { SubtenError } from './errors.js'
import type { Outputs } from './types.js'

/** Codes of a cheaper variant that mean no more than that it did not take the request either. */
const TURNED_AWAY: ReadonlySet<string> = new Set([
  'SLO_UNREACHABLE',
  'QUEUE_FULL',
  'OUT_OF_MEMORY',
  'BATCH_TOO_LARGE',
  'MODEL_CLOSED',
])

/** Whether a request was refused at the door, where nothing has been done for it, because it is predicted to be late. */
export function refusedAsUnreachable(error: unknown): error is SubtenError {
  // One that was admitted and dropped later has no prediction, and its inputs may be other ones by now.
  return error instanceof SubtenError && error.code === 'SLO_UNREACHABLE' && 'predictedMs' in error.details
}

export function turnedAway(error: unknown): boolean {
  return error instanceof SubtenError && TURNED_AWAY.has(error.code)
}

/** Says in a result which model it comes from. An output of the same name is left alone. */
export function markServedBy(outputs: Outputs, name: string): Outputs {
  if (!Object.hasOwn(outputs, 'servedBy')) {
    Object.defineProperty(outputs, 'servedBy', { value: name, enumerable: false })
  }
  const { timing } = outputs
  // Not where `timing` is a tensor of the model.
  if (timing !== undefined && 'toServerTiming' in timing) Object.assign(timing, { servedBy: name })
  return outputs
}
