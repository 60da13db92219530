import { inRootContext } from '../runtime/root-context.js'

const PERIOD_MS = 1000

const ticking = new Set<() => void>()
let timer: NodeJS.Timeout | undefined

/**
 * Calls `tick` once a second, with everyone else's, from the one timer of this environment; returns what stops it. The
 * timer keeps no process alive and no caller's asynchronous context; there is none while nothing ticks.
 */
export function everySecond(tick: () => void): () => void {
  ticking.add(tick)
  timer ??= inRootContext(() => setInterval(tickAll, PERIOD_MS)).unref()
  return () => {
    ticking.delete(tick)
    if (ticking.size > 0) return
    clearInterval(timer)
    timer = undefined
  }
}

function tickAll(): void {
  for (const tick of [...ticking]) {
    try {
      tick()
    } catch (error) {
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
      process.emitWarning(`measuring an SLA failed: ${text}`, { code: 'SUBTEN_SLA_FAILED' })
    }
  }
}
