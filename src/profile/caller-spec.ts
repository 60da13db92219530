import type { Inputs, ShareToken } from '../runtime/types.js'
import type { HttpRequests } from './http-caller.js'

/** What the generator's thread sends requests to. */
export type CallerSpec =
  | {
      readonly kind: 'model'
      readonly token: ShareToken
      readonly inputs: readonly Inputs[]
      readonly deadlineMs?: number
    }
  | { readonly kind: 'http'; readonly requests: HttpRequests }
