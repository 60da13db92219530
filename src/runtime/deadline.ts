import { AsyncLocalStorage } from 'node:async_hooks'
import { SubtenError } from './errors.js'

/** One for the thread, not one for each module format: a deadline holds for models that the other one loaded. */
const SHARED = Symbol.for('subten.deadline')
const scope = globalThis as { [SHARED]?: { storage?: AsyncLocalStorage<number> } }
scope[SHARED] ??= {}
const shared = scope[SHARED]

/**
 * Runs `fn` with a deadline: every request made in it, and in what it awaits, has at most what is left of `ms`
 * milliseconds, or of its own `deadlineMs` where that is less. Once nothing is left, `infer`, `inferMany`, `stream`,
 * `claim` and `slot.submit` end with DEADLINE_EXCEEDED at once. An inner deadline never extends an outer one.
 *
 * ```ts
 * await withDeadline(50, async () => {
 *   const { embedding } = await encoder.infer({ text })
 *   return ranker.infer({ embedding }) // has what the encoder left of the 50 ms
 * })
 * ```
 *
 * @throws SubtenError INVALID_INPUT where `ms` is no finite number from 0
 */
export function withDeadline<T>(ms: number, fn: () => T): T {
  if (!Number.isFinite(ms) || ms < 0)
    throw new SubtenError('INVALID_INPUT', `withDeadline: ${ms} is no number of milliseconds`)
  shared.storage ??= new AsyncLocalStorage<number>()
  const { storage } = shared
  const mine = performance.now() + ms
  return storage.run(Math.min(mine, storage.getStore() ?? Number.POSITIVE_INFINITY), fn)
}

/** Milliseconds left for a request that asks for `deadlineMs`; -1: no deadline. Costs nothing until withDeadline is used. */
export function budgetLeft(deadlineMs: number | undefined): number {
  if (deadlineMs !== undefined && (typeof deadlineMs !== 'number' || Number.isNaN(deadlineMs))) {
    throw new SubtenError('INVALID_INPUT', `deadlineMs must be a number of milliseconds, not ${deadlineMs}`)
  }
  const own = deadlineMs === undefined || deadlineMs === Number.POSITIVE_INFINITY ? -1 : Math.max(0, deadlineMs)
  const ambient = shared.storage?.getStore()
  if (ambient === undefined) return own
  const left = Math.max(0, ambient - performance.now())
  return own < 0 ? left : Math.min(own, left)
}
