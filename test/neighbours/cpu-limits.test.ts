// Fewer processors than the machine has: by affinity (taskset), and by a cgroup's quota.
import { execFileSync } from 'node:child_process'
import { afterAll, describe, expect, it, vi } from 'vitest'
import { cgroup, onOneProcessor } from './limited.mjs'

vi.setConfig({ testTimeout: 120_000 })

const probe = `
  import { readdirSync, readFileSync } from 'node:fs'
  import { load } from './dist/index.js'
  const threads = () => readdirSync('/proc/self/task').map((id) => {
    const status = readFileSync('/proc/self/task/' + id + '/status', 'utf8')
    const field = (name) => new RegExp('^' + name + ':\\\\s*(.*)$', 'm').exec(status)[1]
    return { id, name: field('Name'), parked: Number(field('voluntary_ctxt_switches')) }
  })
  const digits = await load('models/digits')
  const { probabilities } = await digits.infer({ image: new Float32Array(64) })
  const pool = threads().filter(({ name }) => name === 'subten-compute').length
  const main = () => threads().find(({ id }) => Number(id) === process.pid).parked
  const parks = {}
  for (const wake of ['auto', 'latency']) {
    const echo = await load('models/echo', { wake })
    const input = new Float32Array(64)
    for (let i = 0; i < 100; i++) await echo.infer({ input })
    const before = main()
    for (let i = 0; i < 1000; i++) await echo.infer({ input })
    parks[wake] = main() - before
    await echo.close()
  }
  const idle = await load('models/echo', { wake: 'latency' })
  for (let i = 0; i < 100; i++) await idle.infer({ input: new Float32Array(64) })
  const since = process.cpuUsage()
  await new Promise((resolve) => setTimeout(resolve, 1000))
  const { user, system } = process.cpuUsage(since)
  await idle.close()
  await digits.close()
  console.log(JSON.stringify({ probabilities: probabilities.data.length, pool, parks, idleMs: (user + system) / 1000 }))
`

const half = cgroup(0.5)
const whole = cgroup(1)
const single = onOneProcessor()
afterAll(() => {
  half?.remove()
  whole?.remove()
})

const limits = [
  ['one processor (taskset)', single, undefined],
  ['a cgroup with half a processor', half?.limit, 0.5],
  ['a cgroup with one processor', whole?.limit, 1],
] as const

describe.each(limits)('under %s', (_, limit, quota) => {
  const run = (...args: string[]): string => {
    const [program, ...rest] = limit?.([process.execPath, ...args]) ?? []
    return execFileSync(program as string, rest, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })
  }

  it.skipIf(!limit)('there is no thread pool, the event loop parks, and an idle second costs no CPU time', () => {
    const seen = JSON.parse(run('--input-type=module', '-e', probe))
    expect(seen).toMatchObject({ probabilities: 10, pool: 0 })
    // Each awaited request lets the event loop sleep once: nobody polls on the only processor.
    expect(seen.parks.auto).toBeGreaterThan(700)
    expect(seen.parks.latency).toBeGreaterThan(700)
    // One spinning thread would take the whole second, or half of it.
    expect(seen.idleMs).toBeLessThan(250)
  })

  it.skipIf(!limit)('doctor says how many processors are used', () => {
    const { cpus, host } = JSON.parse(run('dist/cli.js', 'doctor', '--json'))
    expect(cpus).toMatchObject({ used: 1, quota: quota ?? null, ...(quota ? {} : { affinity: 1 }) })
    expect(host.cgroup.quotaCpus).toBe(quota)
  })
})

describe('doctor', () => {
  it.skipIf(!half)('warns of a cgroup that throttles, and says what to do', () => {
    const limit = half?.limit as NonNullable<typeof half>['limit']
    const node = (...args: string[]): string => {
      const [program, ...rest] = limit([process.execPath, ...args])
      return execFileSync(program as string, rest, { encoding: 'utf8' })
    }
    // Two threads that want a whole processor each, until the quota has run out several times.
    node(
      '-e',
      `const { Worker } = require('node:worker_threads')
       const burn = 'const end = performance.now() + 1000; while (performance.now() < end);'
       new Worker(burn, { eval: true }); eval(burn)`,
    )
    const { cpus, host, advice } = JSON.parse(node('dist/cli.js', 'doctor', '--json'))
    expect(cpus.throttled).toBeGreaterThan(0)
    expect(host.cgroup.throttled).toBeGreaterThan(0)
    expect(host.cgroup.throttledMs).toBeGreaterThan(0)
    expect(advice).toContainEqual(expect.stringMatching(/cgroup has throttled .*raise the CPU limit/))
    expect(node('dist/cli.js', 'doctor')).toMatch(/cgroup quota\s+0\.5 CPUs, throttled \d+ times \(\d+ ms\)/)
  })
})
