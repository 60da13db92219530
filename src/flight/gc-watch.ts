import { constants, PerformanceObserver, type PerformanceObserverEntryList } from 'node:perf_hooks'
import type { GcPause } from './timeline.js'

/** Pauses that are kept. */
const MOST = 1024

const KINDS: Readonly<Record<number, string>> = {
  [constants.NODE_PERFORMANCE_GC_MAJOR]: 'mark-sweep',
  [constants.NODE_PERFORMANCE_GC_MINOR]: 'scavenge',
  [constants.NODE_PERFORMANCE_GC_INCREMENTAL]: 'incremental marking',
  [constants.NODE_PERFORMANCE_GC_WEAKCB]: 'weak callbacks',
}

const pauses: GcPause[] = []
let next = 0
let users = 0
let observer: PerformanceObserver | undefined

/** Writes down the pauses of this thread's garbage collector, while at least one model is open. */
export function watchGc(): () => void {
  if (users++ === 0) {
    observer ??= new PerformanceObserver(keep)
    observer.observe({ entryTypes: ['gc'] })
  }
  let watching = true
  return () => {
    if (!watching) return
    watching = false
    if (--users === 0) observer?.disconnect()
  }
}

/** The last pauses, oldest first. One comes here some turns of the event loop after it was. */
export function gcPauses(): GcPause[] {
  if (observer !== undefined && users > 0) keepAll(observer.takeRecords())
  return [...pauses.slice(next), ...pauses.slice(0, next)]
}

function keep(list: PerformanceObserverEntryList): void {
  keepAll(list.getEntries())
}

/** An entry of the type `gc`; the types of Node know its detail elsewhere. */
interface GcEntry {
  readonly startTime: number
  readonly duration: number
  readonly detail?: unknown
}

function keepAll(entries: readonly GcEntry[]): void {
  if (entries.length === 0) return
  // performance.now() begins at the start of the environment; native code has the monotonic clock itself.
  const origin = Number(process.hrtime.bigint()) - performance.now() * 1e6
  for (const { startTime, duration, detail } of entries) {
    const start = origin + startTime * 1e6
    const { kind = 0 } = (detail ?? {}) as { kind?: number }
    pauses[next] = { start, end: start + duration * 1e6, kind: KINDS[kind] ?? 'other' }
    next = (next + 1) % MOST
  }
}
