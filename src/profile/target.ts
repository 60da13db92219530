import { SubtenError } from '../runtime/errors.js'
import type { Inputs, Model } from '../runtime/types.js'
import type { Caller } from './caller.js'
import { inProcessMeter, type Meter } from './meter.js'
import { modelCaller } from './model-caller.js'
import { derivedSeed, seededRandom } from './random.js'
import type { TargetFacts } from './report-types.js'
import { seededInputs } from './seeded-inputs.js'
import { prepareServer } from './server-target.js'
import type { CallerSpec } from './worker.js'

/** A server to measure: one of ours, or any that speaks the protocol. */
export interface ServerTarget {
  /** `http://127.0.0.1:8000` */
  readonly url: string
  /**
   * KServe v2 with tensors as JSON or as binary data; `POST /v1/classify/{model}` with a picture. 'kserve-grpc' is
   * NOT_SUPPORTED: subten has no gRPC server yet.
   */
  readonly protocol: 'kserve-json' | 'kserve-binary' | 'classify' | 'kserve-grpc'
  readonly model: string
  readonly version?: string
  /** PNG or JPEG; needed for 'classify'. */
  readonly image?: Uint8Array
}

/** What is measured: a loaded model of this process, or a server. */
export type Target = Model | ServerTarget

/** What requests are made of. */
export interface InputOptions {
  /** Inputs to choose from at random; 16 random ones of the model's shapes by default. */
  readonly inputs?: readonly Inputs[]
  /** Shapes of random inputs that have unknown dimensions, by name; 1 for each where absent. */
  readonly shapes?: { readonly [input: string]: readonly number[] }
  readonly seed: number
  readonly deadlineMs?: number
  readonly connections: number
  readonly timeoutMs: number
}

/** A target that has answered once. */
export interface Prepared {
  readonly facts: TargetFacts
  /** For the generator's thread, or, for a model that cannot be shared, to be used on this one. */
  readonly caller: CallerSpec | Caller
  readonly meter: Meter
}

/** How many inputs are made up: enough that no answer is the one before, few enough to stay in the cache. */
const INPUTS = 16

export function isServer(target: Target): target is ServerTarget {
  return 'protocol' in target
}

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
  await target.infer(inputs[0] as Inputs)
  const { name, version, engine } = target
  const facts: TargetFacts = { kind: 'in-process', model: name, version, engine }
  return { facts, caller: callerOf(target, inputs, options.deadlineMs), meter: inProcessMeter(target) }
}

function callerOf(model: Model, inputs: readonly Inputs[], deadlineMs: number | undefined): CallerSpec | Caller {
  try {
    return { kind: 'model', token: model.share(), inputs, deadlineMs }
  } catch (error) {
    if (error instanceof SubtenError && error.code === 'NOT_SUPPORTED') return modelCaller(model, inputs, deadlineMs)
    throw error
  }
}

