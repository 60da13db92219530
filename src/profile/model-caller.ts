import { SubtenError } from '../runtime/errors.js'
import type { InferOptions, Inputs, Model } from '../runtime/types.js'
import type { Caller } from './caller.js'

/** Requests of one row to a model of this process. */
export function modelCaller(model: Model, inputs: readonly Inputs[], deadlineMs?: number): Caller {
  const options: InferOptions | undefined = deadlineMs === undefined ? undefined : { deadlineMs }
  return {
    inputs: inputs.length,
    close: async () => {},
    send(input, done) {
      model.infer(inputs[input] as Inputs, options).then(
        () => done(),
        (error: unknown) => done(error instanceof SubtenError ? error.code : 'Error', String(error)),
      )
    },
  }
}
