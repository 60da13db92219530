import { addon, succeeded } from './binding.js'
import { SubtenError } from './errors.js'
import { type ModelInfo, NativeModel } from './model.js'
import { inRootContext } from './root-context.js'
import type { ShareToken } from './types.js'

/** A handle on a model that another environment of this process has loaded; both use one queue. */
export function attach(token: ShareToken): NativeModel {
  if (typeof token !== 'object' || token === null || token.subten !== 1 || typeof token.id !== 'string') {
    throw new SubtenError('INVALID_INPUT', 'attach() takes what model.share() returned')
  }
  // The description comes with the port: open it before the model object is made.
  const wake: Waker = {}
  const native = inRootContext(() => succeeded(addon().attachPort(token.id, waker(wake))))
  const model = new NativeModel(JSON.parse(native.info) as ModelInfo, (onWake) => {
    wake.call = onWake
    return native
  })
  if (token.variant === undefined) return model
  try {
    model.useVariant(attach(token.variant as ShareToken))
  } catch (error) {
    void model.close()
    throw error
  }
  return model
}

interface Waker {
  call?: () => void
}

/** On its own: native code holds it as long as the port is open, and in attach() it would hold the port as well. */
function waker(wake: Waker): () => void {
  return () => wake.call?.()
}
