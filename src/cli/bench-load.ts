import { createHistogram, type RecordableHistogram } from 'node:perf_hooks'
import type { Inputs, Model } from '../runtime/types.js'

/** One measurement: how many requests, in what time, how long each took (nanoseconds). */
export interface Measured {
  readonly seconds: number
  readonly succeeded: number
  readonly failed: number
  /** Closed loop: send → result. Open loop: intended send time → result. */
  readonly latency: RecordableHistogram
  /** Open loop: how late requests were sent after their intended time. */
  readonly lateness?: RecordableHistogram
  readonly firstError?: unknown
}

const newHistogram = (): RecordableHistogram => createHistogram({ lowest: 1, highest: 3_600e9, figures: 3 })

/** `concurrency` callers, each of which sends its next request when it has the last one's result. */
export async function closedLoop(
  model: Model,
  inputs: readonly Inputs[],
  concurrency: number,
  seconds: number,
): Promise<Measured> {
  const tally = new Tally()
  const started = process.hrtime.bigint()
  const end = started + BigInt(Math.round(seconds * 1e9))
  let next = 0
  const caller = async (): Promise<void> => {
    let sent = process.hrtime.bigint()
    while (sent < end) {
      await tally.count(model.infer(inputs[next++ % inputs.length] as Inputs), sent)
      sent = process.hrtime.bigint()
    }
  }
  await Promise.all(Array.from({ length: concurrency }, caller))
  return tally.measured(started)
}

/**
 * Sends at times of a Poisson process, whatever the answers do. Latency counts from the intended time, so a stall is
 * seen by every request that it delayed (no coordinated omission).
 */
export async function openLoop(
  model: Model,
  inputs: readonly Inputs[],
  rate: number,
  seconds: number,
  random: () => number,
): Promise<Measured> {
  const tally = new Tally()
  const lateness = newHistogram()
  const running = new Set<Promise<void>>()
  const started = process.hrtime.bigint()
  let due = 0
  let sent = 0
  const gap = (): number => (-Math.log(1 - random()) / rate) * 1e9
  for (due = gap(); due < seconds * 1e9; ) {
    const now = Number(process.hrtime.bigint() - started)
    if (now < due) {
      await pause(due - now)
      continue
    }
    lateness.record(Math.max(1, Math.round(now - due)))
    const intended = started + BigInt(Math.round(due))
    const run: Promise<void> = tally.count(model.infer(inputs[sent++ % inputs.length] as Inputs), intended).then(() => {
      running.delete(run)
    })
    running.add(run)
    due += gap()
  }
  await Promise.all(running)
  return { ...tally.measured(started), lateness }
}

/** Timers of Node are 1 ms grained: the last two are waited for by turns of the event loop. */
function pause(ns: number): Promise<void> {
  return new Promise((resolve) => {
    if (ns > 2e6) setTimeout(resolve, Math.floor(ns / 1e6) - 1)
    else setImmediate(resolve)
  })
}

class Tally {
  readonly #latency = newHistogram()
  #succeeded = 0
  #failed = 0
  #firstError: unknown

  async count(result: Promise<unknown>, since: bigint): Promise<void> {
    try {
      await result
      this.#latency.record(Math.max(1, Number(process.hrtime.bigint() - since)))
      this.#succeeded++
    } catch (error) {
      this.#failed++
      this.#firstError ??= error
    }
  }

  measured(started: bigint): Measured {
    const seconds = Number(process.hrtime.bigint() - started) / 1e9
    const counts = { succeeded: this.#succeeded, failed: this.#failed, firstError: this.#firstError }
    return { seconds, ...counts, latency: this.#latency }
  }
}
