import { SubtenError } from '../runtime/errors.js'
import type { Inputs, Model } from '../runtime/types.js'
import type { Caller } from './caller.js'
import type { CallerSpec, Deadline } from './caller-spec.js'
import { inProcessMeter } from './meter.js'
import { modelCaller } from './model-caller.js'
import { derivedSeed, seededRandom } from './random.js'
import type { TargetFacts } from './report-types.js'
import { seededInputs } from './seeded-inputs.js'
import { prepareServer } from './server-target.js'
import { type InputOptions, isServer, type Prepared, type Target } from './target.js'

/** How many inputs are made up: enough that no answer is the one before, few enough to stay in the cache. */
const INPUTS = 16

const BUSY: ReadonlySet<string> = new Set(['QUEUE_FULL', 'DEADLINE_EXCEEDED', 'SLO_UNREACHABLE'])

/** Finds out what the target takes, makes inputs and tries one: mistakes show early, and plainly. */
export async function prepare(target: Target, options: InputOptions): Promise<Prepared> {
  if (isServer(target)) return prepareServer(target, options, INPUTS)
  if (target.decoupled) {
    throw new SubtenError('NOT_SUPPORTED', `model '${target.name}' is decoupled: it has no one answer to wait for`)
  }
  const random = seededRandom(derivedSeed(options.seed, 4))
  const shapes = new Map(Object.entries(options.shapes ?? {}))
  const inputs = options.inputs ?? seededInputs(target, random, INPUTS, shapes)
  if (inputs.length === 0) throw new SubtenError('INVALID_INPUT', 'there are no inputs to send')
  await target.infer(inputs[0] as Inputs).catch((error: unknown) => {
    // Busy now, but it takes what is sent.
    const busy = error instanceof SubtenError && BUSY.has(error.code)
    if (!busy) throw error
  })
  const { name, version, engine } = target
  const facts: TargetFacts = { kind: 'in-process', model: name, version, engine }
  return { facts, caller: callerOf(target, inputs, deadlineOf(options)), meter: inProcessMeter(target) }
}

function callerOf(model: Model, inputs: readonly Inputs[], deadline: Deadline | undefined): CallerSpec | Caller {
  try {
    return { kind: 'model', token: model.share(), inputs, deadline }
  } catch (error) {
    if (error instanceof SubtenError && error.code === 'NOT_SUPPORTED') return modelCaller(model, inputs, deadline)
    throw error
  }
}

function deadlineOf({ deadlineMs, deadlineBurnt, deadlineTold, seed }: InputOptions): Deadline | undefined {
  if (deadlineMs === undefined) return
  return { ms: deadlineMs, burnt: deadlineBurnt, told: deadlineTold, seed: derivedSeed(seed, 5) }
}
