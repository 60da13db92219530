import { SubtenError } from '../../../src/runtime/errors.js'

/** The SubtenError that a call throws; any other outcome fails the test. */
export function thrown(call: () => unknown): SubtenError {
  try {
    call()
  } catch (error) {
    if (error instanceof SubtenError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

/** The SubtenError that a promise rejects with. */
export async function rejection(promise: Promise<unknown>): Promise<SubtenError> {
  const error: unknown = await promise.then(
    () => new Error('nothing was thrown'),
    (reason: unknown) => reason,
  )
  if (error instanceof SubtenError) return error
  throw error
}
