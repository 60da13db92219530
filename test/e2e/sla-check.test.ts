import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Pool } from 'undici'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { load } from '../../src/load/load.js'
import type { Model } from '../../src/runtime/types.js'
import { ModelHost } from '../../src/server/model-host.js'
import { createServer, type Server } from '../../src/server/server.js'
import { SlaMonitor } from '../../src/sla/monitor.js'
import type { Contract, SlaReport, SlaStatus } from '../../src/sla/types.js'
import { root, startServer } from './server-process.js'
import { slowShare } from './slow-share.js'

// Wide apart, since machines that test stand still at times: what is fast takes a millisecond.
const TARGET_MS = 1000
const DELAY_MS = 1300

const YAML = `apiVersion: openslo/v1
kind: Service
metadata: { name: echoing }
spec: { description: echoes }
---
apiVersion: openslo/v1
kind: SLO
metadata: { name: echo-p99 }
spec:
  description: 99 % of requests within a second
  service: echoing
  indicator:
    metadata: { name: echo-latency }
    spec:
      ratioMetric:
        counter: true
        good:
          metricSource: { type: subten, spec: { indicator: latency, model: echo, point: edge, threshold: 1s } }
        total:
          metricSource: { type: subten, spec: { indicator: latency, model: echo, point: edge } }
  timeWindow: [{ duration: 28d, isRolling: true }]
  budgetingMethod: Occurrences
  objectives: [{ displayName: p99, target: 0.99 }]
`

const contract: Contract = {
  file: 'echo.yaml',
  services: [{ name: 'echoing', description: 'echoes', owner: 'team-a' }],
  objectives: [
    {
      name: 'echo-p99',
      description: '99 % of requests within a second',
      service: 'echoing',
      owner: 'team-a',
      indicator: { kind: 'latency', model: 'echo', point: 'edge', thresholdUs: TARGET_MS * 1000 },
      target: 0.99,
      window: { kind: 'rolling', ms: 28 * 86_400_000 },
      minimumEvents: 100,
      alerts: [],
      consequences: '',
      enforce: false,
      source: { file: 'echo.yaml', line: 1 },
    },
  ],
  maintenance: [],
}

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'subten-sla-'))
  await writeFile(join(folder, 'echo.yaml'), YAML)
})
afterAll(() => rm(folder, { recursive: true, force: true }))

interface Ran {
  code: number | null
  out: string
  err: string
  seconds: number
}

function subten(...args: string[]): Promise<Ran> {
  const since = performance.now()
  const child = spawn(process.execPath, ['dist/cli.js', ...args], { cwd: root })
  let out = ''
  let err = ''
  child.stdout.on('data', (chunk) => (out += chunk))
  child.stderr.on('data', (chunk) => (err += chunk))
  return new Promise((resolve) => {
    child.on('close', (code) => resolve({ code, out, err, seconds: (performance.now() - since) / 1000 }))
  })
}

const stops: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop()
})

/** Sends so many requests a second, evenly, until it is stopped. */
function traffic(url: string, perSecond: number): void {
  const pool = new Pool(url, { connections: 200 })
  const data = Array.from({ length: 64 }, (_, i) => i)
  const body = JSON.stringify({ inputs: [{ name: 'input', datatype: 'FP32', shape: [1, 64], data }] })
  const headers = { 'content-type': 'application/json' }
  const since = performance.now()
  let sent = 0
  const timer = setInterval(() => {
    for (const due = ((performance.now() - since) * perSecond) / 1000; sent < due; sent++) {
      pool
        .request({ path: '/v2/models/echo/infer', method: 'POST', body, headers })
        .then((answer) => answer.body.dump())
        .catch(() => {})
    }
  }, 10)
  stops.unshift(async () => {
    clearInterval(timer)
    await pool.close()
  })
}

/** A real server on a real model, of whose requests every n-th is delayed past the target. */
async function serving(every: number): Promise<string> {
  const sla = await SlaMonitor.open(contract)
  const model = (await load('models/echo')) as Model
  sla.attach(model)
  const slow = slowShare(model, { every, delayMs: DELAY_MS })
  const server: Server = await createServer({ models: ModelHost.of(slow), sla })
  stops.push(() => server.stop())
  return server.listen({ port: 0 })
}

describe('subten sla check', () => {
  it('passes on a healthy server', async () => {
    const url = await serving(0)
    traffic(url, 200)
    const { code, out, err, seconds } = await subten('sla', 'check', '--url', url, '--for', '6s')
    expect({ code, err }).toMatchObject({ code: 0 })
    expect(out).toMatch(/echo-p99 +met +99 % +100 % +\d{3,4} +0 +0/)
    expect(seconds).toBeGreaterThan(6)
  }, 60_000)

  it('fails within its window when 2 % of requests are delayed past the target, as soon as it cannot pass any more', async () => {
    const url = await serving(50)
    traffic(url, 200)
    const { code, out, err } = await subten('sla', 'check', '--url', url, '--for', '30s')
    expect({ code, err }).toMatchObject({ code: 1, err: expect.not.stringContaining('error') })
    expect(out).toMatch(/echo-p99 +BROKEN +99 % +\d\d(\.\d+)? %/)
    const [, seconds] = /out of reach after (\d+) s/.exec(out) ?? []
    expect(Number(seconds), out).toBeLessThan(30)
  }, 120_000)

  it('says that there were too few events, by an exit code of its own', async () => {
    const url = await serving(0)
    const { code, out } = await subten('sla', 'check', '--url', url, '--for', '1s')
    expect(code).toBe(3)
    expect(out).toMatch(/too few .*fewer than 100 events/)
  }, 60_000)

  it('ends with 1 and a sentence when there is no server, and with 2 when it was not called as it should be', async () => {
    const none = await subten('sla', 'check', '--url', 'http://127.0.0.1:9', '--for', '1s')
    expect(none.code).toBe(1)
    expect(none.err).toContain('there is no answer from http://127.0.0.1:9')
    expect((await subten('sla', 'check', '--for', 'soon')).code).toBe(2)
    expect((await subten('sla', 'check', '--url', 'nowhere')).code).toBe(2)
  }, 60_000)
})

describe('subten serve --sla', () => {
  it('measures, tells, and remembers over a kill', async () => {
    const state = join(folder, 'state')
    const args = ['--models', 'models', '--sla', join(folder, 'echo.yaml'), '--sla-state', state]
    const first = await startServer(...args)
    stops.push(() => first.end())
    expect(first.output()).toContain('echo-p99')

    const second = await subten('serve', '--http-port', '0', ...args)
    expect(second.code).toBe(1)
    expect(second.err).toContain('in use by another process')

    traffic(first.url, 100)
    await new Promise((resolve) => setTimeout(resolve, 8000))
    const status = JSON.parse((await subten('sla', 'status', '--json', '--url', first.url)).out) as SlaStatus
    expect(status.objectives[0]?.events.total).toBeGreaterThan(300)
    await first.end('SIGKILL')
    for (const stop of stops.splice(0)) await stop()

    const again = await startServer(...args)
    stops.push(() => again.end())
    const text = await subten('sla', 'status', '--url', again.url)
    expect(text.code).toBe(0)
    expect(text.out).toMatch(/echo-p99 +met +99 % +100 % +100 % +\d{3}/)
    const kept = JSON.parse((await subten('sla', 'status', '--json', '--url', again.url)).out) as SlaStatus
    expect(kept.since).toBe(status.since)
    expect(kept.objectives[0]?.counted?.total).toBe(0)

    const html = join(folder, 'report.html')
    const json = join(folder, 'report.json')
    for (const out of [html, json]) {
      expect((await subten('sla', 'report', '--url', again.url, '--out', out)).code).toBe(0)
    }
    expect(await readFile(html, 'utf8')).toMatch(/^<!doctype html>/i)
    const report = JSON.parse(await readFile(json, 'utf8')) as SlaReport
    expect(report.objectives[0]?.delivered).toMatch(/^100 % \(\d+ of \d+\), 100 % of the error budget is left$/)
    expect(report.models.map(({ model }) => model)).toContain('echo')
    expect(await again.end()).toBe(0)
  }, 120_000)
})
