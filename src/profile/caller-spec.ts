import type { Inputs, ShareToken } from '../runtime/types.js'
import type { HttpRequests } from './http-caller.js'

/** Deadlines of requests to a model in this process. */
export interface Deadline {
  readonly ms: number
  /** The most of it that was used up before, a share: each request draws its own, uniformly. */
  readonly burnt?: number
  /** False: the model is not told what is left, only judged by it. */
  readonly told?: boolean
  readonly seed?: number
}

/** What the generator's thread sends requests to. */
export type CallerSpec =
  | {
      readonly kind: 'model'
      readonly token: ShareToken
      readonly inputs: readonly Inputs[]
      readonly deadline?: Deadline
    }
  | { readonly kind: 'http'; readonly requests: HttpRequests }
