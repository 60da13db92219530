import { SubtenError } from '../runtime/errors.js'
import type { InferOptions, Inputs, Model } from '../runtime/types.js'
import type { Caller, Done } from './caller.js'
import type { Deadline } from './caller-spec.js'
import { seededRandom } from './random.js'

/** How an answer counts that came after what was left of its request's budget. */
export const TOO_LATE = 'LATE'

/** Requests of one row to a model of this process. */
export function modelCaller(model: Model, inputs: readonly Inputs[], deadline?: Deadline): Caller {
  const sent = deadline?.burnt === undefined ? always(deadline) : burnt(deadline, deadline.burnt)
  return {
    inputs: inputs.length,
    close: async () => {},
    send(input, done) {
      const { options, ended } = sent(done)
      model.infer(inputs[input] as Inputs, options).then(
        () => ended(),
        (error: unknown) => ended(error instanceof SubtenError ? error.code : 'Error', String(error)),
      )
    },
  }
}

type Sent = (done: Done) => { options?: InferOptions; ended: Done }

function always(deadline: Deadline | undefined): Sent {
  const options: InferOptions | undefined = deadline === undefined ? undefined : { deadlineMs: deadline.ms }
  return (done) => ({ options, ended: done })
}

/** A part of each budget was used up before the request came here: what is left is judged, and told where it is. */
function burnt({ ms, told = true, seed = 1 }: Deadline, most: number): Sent {
  const random = seededRandom(seed)
  return (done) => {
    const left = ms * (1 - most * random())
    const due = performance.now() + left
    return {
      options: told ? { deadlineMs: left } : undefined,
      ended: (code, detail) => (code === undefined && performance.now() > due ? done(TOO_LATE) : done(code, detail)),
    }
  }
}
