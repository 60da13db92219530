// Ways to make one request slow on purpose. Each makes a case: `{ id, injected }`, where `injected` says whether what
// was to happen has happened (a garbage collection may be short, a quota may not run out).
import { spawn } from 'node:child_process'
import { load } from '../../dist/index.js'
import { CpuGroup } from './cpu-group.mjs'

const row = { input: new Float32Array(64).fill(1) }
export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
const burn = (ms) => {
  for (const until = performance.now() + ms; performance.now() < until; );
}
/** What a case must be longer than, milliseconds, to be one. */
const SLOW_MS = 4
let cases = 0
const newId = (kind) => `${kind}-${++cases}`

/** `models/echo` with a run of 0.3 ms, used to it. */
async function echo(settings = {}, busyUs = 300, parameters = {}) {
  const options = { slowMs: 3, max_batch_size: 1, ...settings, parameters: { busy_us: busyUs, ...parameters } }
  const model = await load('models/echo', options)
  for (let i = 0; i < 40; i++) await model.infer(row)
  return model
}

/** Requests of which each waits a little for the one before, as a service has them. */
async function usual(model, count) {
  for (let i = 0; i < count; i++) {
    await model.infer(row)
    await sleep(2)
  }
}

async function gc(random) {
  const model = await echo()
  const full = globalThis.gc
  let heap = []
  return {
    model,
    cause: 'gc',
    async once() {
      // Objects that live make it long: 50,000 to 600,000 of them.
      const objects = 50_000 + Math.floor(random() * 550_000)
      heap = Array.from({ length: objects }, (_, i) => ({ i, next: heap[i % 7] }))
      await usual(model, 5)
      const id = newId('gc')
      const result = model.infer(row, { id })
      const start = performance.now()
      full(random() < 0.3 ? { type: 'minor' } : undefined)
      const took = performance.now() - start
      await result
      return { id, injected: took > SLOW_MS }
    },
    async end() {
      heap = []
    },
  }
}

async function blocked(random) {
  const model = await echo()
  return {
    model,
    cause: 'event-loop',
    async once() {
      await usual(model, 5)
      const id = newId('blocked')
      const result = model.infer(row, { id })
      burn(SLOW_MS + random() * 60)
      await result
      return { id, injected: true }
    },
  }
}

async function slowBatch(random) {
  const every = 12
  const slowUs = Math.round((SLOW_MS + 1 + random() * 50) * 1000)
  let sent = 40 // by echo()
  const model = await echo({}, 300 + random() * 1500, { slow_every: every, slow_us: slowUs })
  return {
    model,
    cause: 'slow-batch',
    cases: 6,
    async once() {
      for (;;) {
        const id = newId('slow')
        const slow = ++sent % every === 0
        await model.infer(row, { id })
        await sleep(2)
        if (slow) return { id, injected: true }
      }
    },
  }
}

async function queue(random) {
  const model = await echo({}, 1000)
  return {
    model,
    cause: 'queue',
    async once() {
      await usual(model, 5)
      const count = 8 + Math.floor(random() * 60)
      const id = newId('queue')
      const all = Array.from({ length: count }, () => model.infer(row))
      all.push(model.infer(row, { id }))
      await Promise.all(all)
      return { id, injected: true }
    },
  }
}

async function hog(random, { cpus }) {
  const model = await echo({}, 3000)
  // Two for each CPU, pinned: whoever wants one has to wait.
  const hogs = cpus.flatMap((cpu) =>
    [0, 1].map(() => spawn('taskset', ['-c', String(cpu), 'sh', '-c', 'kill -STOP $$; while :; do :; done'])),
  )
  await sleep(100)
  const signal = (name) => {
    for (const each of hogs) each.kill(name)
  }
  return {
    model,
    cause: 'cpu-contention',
    async once() {
      await usual(model, 3)
      signal('SIGCONT')
      await sleep(10 + random() * 30)
      const id = newId('hog')
      const start = performance.now()
      await model.infer(row, { id })
      const took = performance.now() - start
      signal('SIGSTOP')
      await sleep(10)
      return { id, injected: took > 3 + SLOW_MS }
    },
    async end() {
      signal('SIGKILL')
    },
  }
}

async function quota(random, { group }) {
  if (group === undefined) return undefined
  const model = await echo({}, 6000)
  const limits = new CpuGroup(group)
  return {
    model,
    cause: 'throttled',
    async once() {
      await usual(model, 3)
      const before = limits.throttled()
      limits.quota(12 + random() * 40)
      // What is used up stays used up until the period ends: one of these meets the end of it.
      let slowest = { id: '', took: 0 }
      for (let i = 0; i < 16 && slowest.took < 25; i++) {
        const id = newId('quota')
        const start = performance.now()
        await model.infer(row, { id })
        const took = performance.now() - start
        if (took > slowest.took) slowest = { id, took }
      }
      limits.quota(undefined)
      await sleep(110)
      return { id: slowest.id, injected: limits.throttled() > before && slowest.took > 6 + SLOW_MS }
    },
    async end() {
      limits.quota(undefined)
    },
  }
}

export const INJECTIONS = { gc, blocked, slowBatch, hog, quota, queue }
