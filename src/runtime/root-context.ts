import { AsyncResource } from 'node:async_hooks'

const root = new AsyncResource('subten')

/** Runs `fn` in no caller's context: what it arms for longer than a call keeps nobody's AsyncLocalStorage store. */
export function inRootContext<T>(fn: () => T): T {
  return root.runInAsyncScope(fn)
}
