import { addon, succeeded } from './binding.js'
import { SubtenError } from './errors.js'
import { type ModelInfo, NativeModel } from './model.js'
import { inRootContext } from './root-context.js'
import type { Model, ShareToken } from './types.js'

/** A handle on a model that another environment of this process has loaded; both use one queue. */
export function attach(token: ShareToken): Model {
  if (typeof token !== 'object' || token === null || token.subten !== 1 || typeof token.id !== 'string') {
    throw new SubtenError('INVALID_INPUT', 'attach() takes what model.share() returned')
  }
  // The description comes with the port: open it before the model object is made.
  let wake: (() => void) | undefined
  const native = inRootContext(() => succeeded(addon().attachPort(token.id, () => wake?.())))
  return new NativeModel(JSON.parse(native.info) as ModelInfo, (onWake) => {
    wake = onWake
    return native
  })
}
