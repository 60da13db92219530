import { SubtenError } from '../runtime/errors.js'
import type { Setting } from './triton-options.js'

/** What computes a model of ONNX Runtime when that is not its own CPU provider, in native terms. */
export interface DevicePlan {
  readonly cudaDevice?: number
  /** The ONNX Runtime that must be used. */
  readonly libraryPath?: string
  readonly settings: readonly Setting[]
}

/** CONFIG_INVALID for the part of `executionProviders` that `field` names: `[0].threads`. */
export function providerError(field: string, problem: string, given?: unknown): SubtenError {
  const name = `executionProviders${field}`
  const shown = given === undefined ? '' : `, not ${JSON.stringify(given)?.slice(0, 80) ?? typeof given}`
  return new SubtenError('CONFIG_INVALID', `options: ${name}: ${problem}${shown}`, { details: { field: name } })
}

/** Checks a provider's options by its own names. `ours`: those that options of ours set, and which. */
export function checkProviderOptions(given: unknown, ours: { readonly [name: string]: string }): void {
  if (given === undefined) return
  if (typeof given !== 'object' || given === null || Array.isArray(given))
    throw providerError('[0].providerOptions', 'must be an object of names and values', given)
  for (const [key, value] of Object.entries(given)) {
    if (!/^\w+$/.test(key)) throw providerError(`[0].providerOptions.${key}`, 'is not the name of an option')
    const instead = Object.hasOwn(ours, key) ? ours[key] : undefined
    if (instead !== undefined) throw providerError(`[0].providerOptions.${key}`, `is set by ${instead}`)
    if (!['string', 'number', 'boolean'].includes(typeof value)) {
      throw providerError(`[0].providerOptions.${key}`, 'must be a string, a number or a boolean', value)
    }
  }
}
