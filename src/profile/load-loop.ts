import { setTimeout as sleep } from 'node:timers/promises'
import type { Caller } from './caller.js'
import { seededRandom } from './random.js'
import type { Sink } from './recorder.js'
import type { Load } from './report-types.js'
import { type Schedule, scheduleOf } from './schedule.js'

/** A wait is cut into pieces, so that a phase that is over is noticed. */
const LONGEST_WAIT_MS = 100
/** Gaps below this are waited for by turns of the event loop: two wakes would take longer. */
const SHORTEST_WAIT_MS = 0.05
/** Sends without a turn of the event loop. A generator that has fallen behind must still read answers. */
const AT_ONCE = 32
/** The same for a closed loop, whose target may answer before the loop has turned. */
const MOST_AT_ONCE = 256

/** Nanoseconds on this thread's clock. */
export function nowNs(): number {
  return performance.now() * 1e6
}

/** One phase of load. Times are {@link nowNs}. */
export interface Phase {
  readonly load: Load
  readonly start: number
  /** Infinity: until it is stopped. */
  readonly until: number
  /** Seconds that a ramp takes. */
  readonly seconds: number
  readonly trace?: Float64Array
  /** Requests after which a closed loop ends. */
  readonly most: number
  /** Requests that may be open. */
  readonly mostOpen: number
  /** Of the choice of inputs. */
  readonly seed: number
}

/** A phase under way. */
export interface Running {
  /** Resolves when the last request of the phase was sent. */
  readonly allSent: Promise<void>
  /** Ends the phase before its time. */
  stop(): void
  /** Requests without an answer. */
  open(): number
  /** Forgets what is open, and returns when each was due. */
  giveUp(): number[]
}

/** Begins to send; `sink` hears of every request. */
export function startLoad(phase: Phase, caller: Caller, sink: Sink, wait: (ms: number) => Promise<void>): Running {
  const open = new Set<{ readonly due: number }>()
  const random = seededRandom(phase.seed)
  let stopped = false
  const over = (): boolean => stopped || nowNs() >= phase.until

  const send = (due: number, after?: (failed: boolean) => void): void => {
    const now = nowNs()
    sink.sent(due, now)
    if (open.size >= phase.mostOpen) {
      sink.aborted(due)
      return
    }
    const request = { due }
    open.add(request)
    caller.send(Math.floor(random() * caller.inputs), (code, detail) => {
      // An answer to what was given up is none.
      if (!open.delete(request)) return
      sink.ended(due, now, nowNs(), code, detail)
      after?.(code !== undefined)
    })
  }
  const allSent =
    phase.load.kind === 'closed'
      ? closedLoop(phase.load.concurrency, phase.most, over, send)
      : openLoop(scheduleOf(phase.load, phase.seconds, phase.trace), phase, () => stopped, send, wait)
  return {
    allSent,
    stop: () => {
      stopped = true
    },
    open: () => open.size,
    giveUp: () => {
      const due = [...open].map((request) => request.due)
      open.clear()
      return due
    },
  }
}

/** Sends at the times of a schedule, whatever the answers do. */
async function openLoop(
  times: Schedule,
  { start, until }: Phase,
  stopped: () => boolean,
  send: (due: number) => void,
  wait: (ms: number) => Promise<void>,
): Promise<void> {
  let atOnce = 0
  for (let due = start + times.next(); due < until && Number.isFinite(due) && !stopped(); due = start + times.next()) {
    for (let left = due - nowNs(); left > 0; left = due - nowNs()) {
      atOnce = 0
      await waited(left / 1e6, wait)
      if (stopped()) return
    }
    send(due)
    if (++atOnce % AT_ONCE !== 0) continue
    await turn()
  }
  // The phase lasts as long as it was told, also where its last request came before: silence is part of a schedule.
  while (Number.isFinite(until) && nowNs() < until && !stopped()) await waited((until - nowNs()) / 1e6, wait)
}

function waited(ms: number, wait: (ms: number) => Promise<void>): Promise<void> {
  return ms < SHORTEST_WAIT_MS ? turn() : wait(Math.min(ms, LONGEST_WAIT_MS))
}

/** `callers` that send again when they have their answer. */
async function closedLoop(
  callers: number,
  most: number,
  over: () => boolean,
  send: (due: number, after: (failed: boolean) => void) => void,
): Promise<void> {
  let sent = 0
  let sinceTurn = 0
  const next = (failed: boolean): void => {
    if (over() || sent >= most) return
    // What is refused, or answered, at once would be sent again at once, and the event loop would never turn.
    if (failed || ++sinceTurn > MOST_AT_ONCE) {
      sinceTurn = 0
      setImmediate(next, false)
      return
    }
    sent++
    send(nowNs(), next)
  }
  for (let i = 0; i < callers; i++) next(false)
  while (!over() && sent < most) await sleep(5)
}

function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve)
  })
}
