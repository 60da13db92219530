import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import type { Caller } from '../../../src/profile/caller.js'
import { nowNs, type Phase, type Running, startLoad } from '../../../src/profile/load-loop.js'
import type { Load } from '../../../src/profile/report-types.js'

const silent = { sentCount: 0, endedCount: 0, sent() {}, ended() {}, aborted() {} }
const answering: Caller = { inputs: 1, close: async () => {}, send: (_input, done) => done() }
const hanging: Caller = { ...answering, send() {} }

function start(load: Load, caller = answering, more: Partial<Phase> = {}, sink = silent): Running {
  const phase: Phase = {
    load,
    start: nowNs(),
    until: Number.POSITIVE_INFINITY,
    seconds: 1,
    most: Number.POSITIVE_INFINITY,
    mostOpen: 1000,
    seed: 1,
  }
  return startLoad({ ...phase, ...more }, caller, sink, (ms) => sleep(Math.ceil(ms)))
}

describe('a phase of load', () => {
  it.each([
    ['whose waits end when the next request is due', { kind: 'constant', rate: 50, seed: 1 }],
    ['that can never keep up', { kind: 'constant', rate: 1e9, seed: 1 }],
    ['that waits for long', { kind: 'constant', rate: 0.01, seed: 1 }],
    ['whose answers come before the event loop turns', { kind: 'closed', concurrency: 2 }],
  ] as const)('%s ends when it is stopped', async (_what, load) => {
    const running = start(load)
    await sleep(50)
    running.stop()
    await running.allSent
    expect(running.open()).toBe(0)
  })

  it('ends at its time, also where the target hangs, and forgets what is open', async () => {
    for (const load of [
      { kind: 'closed', concurrency: 3 },
      { kind: 'constant', rate: 100, seed: 1 },
    ] as const) {
      const running = start(load, hanging, { until: nowNs() + 50e6 })
      await running.allSent
      expect(running.open()).toBeGreaterThan(0)
      expect(running.giveUp().length).toBeGreaterThan(0)
      expect(running.open()).toBe(0)
    }
  })

  it('sends no more than may be open, and counts the rest as aborted', async () => {
    let aborted = 0
    const sink = { ...silent, aborted: () => aborted++ }
    const load = { kind: 'constant', rate: 1000, seed: 1 } as const
    const running = start(load, hanging, { until: nowNs() + 100e6, mostOpen: 10 }, sink)
    await running.allSent
    expect(running.open()).toBe(10)
    expect(aborted).toBeGreaterThanOrEqual(80)
  })
})
