import { addon } from './binding.js'
import { errorFromNative, SubtenError } from './errors.js'

/**
 * A control call of an engine, such as `metrics` of the running Triton server.
 *
 * @throws SubtenError MODEL_CLOSED when no server runs, and what the engine answers
 */
export async function engineCall(engine: string, method: string, ...args: (string | Uint8Array)[]): Promise<string> {
  const native = addon()
  if (native.engineCall === undefined) {
    throw new SubtenError('NOT_SUPPORTED', `this addon has no control calls (${engine}: ${method})`, {
      remedy: 'Build the addon again: `npm run build:native`.',
    })
  }
  const answer = await native.engineCall(engine, method, args)
  if (typeof answer === 'string') return answer
  throw errorFromNative(answer.status, answer.message)
}
