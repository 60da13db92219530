import type { Model } from '../../src/runtime/types.js'

/**
 * The model, of which every `every`-th request (0: none) is answered only after `delayMs` milliseconds more. What it
 * shows beside `infer` is the model's own.
 */
export function slowShare(model: Model, share: { every: number; delayMs: number }): Model {
  let asked = 0
  return new Proxy(model, {
    get(target, name) {
      const value = Reflect.get(target, name, target) as unknown
      if (name !== 'infer') return typeof value === 'function' ? value.bind(target) : value
      return async (...args: Parameters<Model['infer']>) => {
        const outputs = await target.infer(...args)
        asked++
        if (share.every > 0 && asked % share.every === 0) {
          await new Promise((resolve) => setTimeout(resolve, share.delayMs))
        }
        return outputs
      }
    },
  })
}
