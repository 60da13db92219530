import type { Inputs, Model } from '../runtime/types.js'
import type { Caller } from './caller.js'
import type { CallerSpec } from './caller-spec.js'
import type { Meter } from './meter.js'
import type { TargetFacts } from './report-types.js'

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
  readonly deadlineBurnt?: number
  readonly deadlineTold?: boolean
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

export function isServer(target: Target): target is ServerTarget {
  return 'protocol' in target
}
