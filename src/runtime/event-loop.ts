import { inRootContext } from './root-context.js'
import type { Distribution } from './snapshot.js'

const PERIOD_MS = 20
/** Buckets of 10 µs up to 100 ms, then one of everything later. */
const BUCKET_NS = 10_000
const BUCKETS = 10_000

const counts = new Float64Array(BUCKETS + 1)
let sum = 0
let max = 0
let users = 0
let timer: NodeJS.Timeout | undefined

/**
 * Measures how late timers of this thread fire, while at least one model is open. `monitorEventLoopDelay` is no
 * substitute: it reads 1.7 ms on an idle loop.
 */
export function watchEventLoop(): () => void {
  if (users++ === 0) inRootContext(arm)
  let watching = true
  return () => {
    if (!watching) return
    watching = false
    if (--users === 0) clearTimeout(timer)
  }
}

function arm(): void {
  const due = performance.now() + PERIOD_MS
  timer = setTimeout(() => {
    const late = Math.max(0, (performance.now() - due) * 1e6)
    const bucket = Math.min(BUCKETS, Math.floor(late / BUCKET_NS))
    counts[bucket] = (counts[bucket] ?? 0) + 1
    sum += late
    max = Math.max(max, late)
    if (users > 0) arm()
  }, PERIOD_MS)
  timer.unref()
}

/** Lateness so far, nanoseconds. */
export function eventLoopLateness(): Distribution {
  const values: number[] = []
  const own: number[] = []
  counts.forEach((count, i) => {
    if (count === 0) return
    values.push((i + 0.5) * BUCKET_NS)
    own.push(count)
  })
  return { values, counts: own, sum, max }
}
