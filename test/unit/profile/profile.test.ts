import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { load } from '../../../src/load/load.js'
import { profile } from '../../../src/profile/profile.js'
import type { ProfileRun } from '../../../src/profile/report-types.js'
import { fakeModel } from '../../../src/testing.js'
import { echoModel, serving, vector } from '../server/running-server.js'
import { serverThat } from './served.js'

const quick = { warmup: 0, seconds: 0.5 } as const
const root = new URL('../../../', import.meta.url)
/** The latency at a percentile, milliseconds. */
const ms = (run: ProfileRun, percentile: number): number =>
  (run.curve.find((point) => point.percentile === percentile)?.us ?? Number.NaN) / 1000

/** Keeps this thread, and with it the server that runs on it, for a while. */
function stallThisThread(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
}

describe('a stall of the target for a second', () => {
  const stalling = () =>
    serverThat((_request, response, number) => {
      // The first request is the one that tries whether anything answers.
      if (number === 100) stallThisThread(1000)
      response.end('{}')
    })

  it('shows in the p99 of an open loop: it delayed all that was due in it', async () => {
    const load = { kind: 'constant', rate: 250 } as const
    const run = await profile(await stalling(), { ...quick, load, seconds: 4 })
    expect(run.requests).toMatchObject({ sent: 1000, succeeded: 1000 })
    // A quarter of the requests was due while the server stood still.
    expect(run.latencyUs.p99).toMatchObject({ value: ms(run, 99) * 1000 })
    expect(ms(run, 99)).toBeGreaterThan(800)
    expect(ms(run, 90)).toBeGreaterThan(300)
    // The generator has a thread of its own: it went on sending while this one stood still.
    expect(run.series.filter((second) => second.sent === 0)).toEqual([])
  })

  it('is hidden by a closed loop, where one request of hundreds waits', async () => {
    const load = { kind: 'closed', concurrency: 1 } as const
    const run = await profile(await stalling(), { ...quick, load, seconds: 3 })
    expect(run.requests.succeeded).toBeGreaterThan(300)
    expect(run.latencyUs.max).toBeGreaterThan(990_000)
    expect(ms(run, 99)).toBeLessThan(500)
  })
})

describe('a run', () => {
  it('measures a loaded model from another thread, with its stages, batches and processor time', async () => {
    await using model = await load(new URL('models/echo', root).pathname)
    const run = await profile(model, { ...quick, load: { kind: 'poisson', rate: 400 }, goodWithinUs: 5e6 })
    const { sent, succeeded } = run.requests
    expect(sent).toBeGreaterThan(100)
    expect(succeeded).toBe(sent)
    expect(run.latencyUs.count).toBe(succeeded)
    expect(run.serviceUs.count).toBe(succeeded)
    expect(run.stagesUs?.total.count).toBe(succeeded)
    expect(run.batches?.count).toBeGreaterThan(0)
    expect(run.goodput).toBeCloseTo(succeeded / run.seconds, 6)
    expect(run.schedule?.latenessUs.count).toBe(sent)
    expect(run.series.reduce((sum, point) => sum + point.sent, 0)).toBe(sent)
    if (existsSync('/proc/thread-self/schedstat')) expect(run.cpuUsPerRequest).toBeGreaterThan(0)
  })

  it('sends the same requests for the same seed', async () => {
    const model = fakeModel({ inputs: [], outputs: [] })
    const sent = async (seed: number): Promise<number> =>
      (await profile(model, { ...quick, seed, load: { kind: 'poisson', rate: 300 } })).requests.sent
    const [first, again, other] = [await sent(5), await sent(5), await sent(6)]
    expect(again).toBe(first)
    expect(other).not.toBe(first)
  })

  it('whose requests left late is invalid, and says why', async () => {
    const model = fakeModel({ inputs: [], outputs: [] })
    const load = { kind: 'poisson', rate: 300 } as const
    const run = await profile(model, { ...quick, load, lateBoundUs: 0.001 })
    expect(run.schedule).toMatchObject({ kept: false, allowed: 0.01, boundUs: 0.001 })
    expect(run.schedule?.late).toBeGreaterThan(0.9)
    expect(run.schedule?.reason).toMatch(/% of the requests left more than .* after their time, where 1 % may/)
    const patient = await profile(model, { ...quick, load, lateBoundUs: 60e6 })
    expect(patient.schedule).toMatchObject({ kept: true, late: 0 })
  })

  it('waits until latency is steady, and says so', async () => {
    const model = fakeModel({ inputs: [], outputs: [] }, { latencyMs: 2 })
    const load = { kind: 'closed', concurrency: 4 } as const
    const run = await profile(model, { load, seconds: 0.2, warmupMaxSeconds: 20 })
    expect(run.warmup).toMatchObject({ steady: true, how: expect.stringContaining('MSER-5') })
    expect(run.warmup.seconds).toBeGreaterThan(0.9)
    const cut = await profile(model, { load, seconds: 0.2, warmupMaxSeconds: 0.1 })
    expect(cut.warmup).toMatchObject({ steady: false, how: expect.stringContaining('not steady') })
  })

  it('counts how requests ended', async () => {
    const model = fakeModel({ inputs: [], outputs: [] }, { failEvery: 4 })
    const run = await profile(model, { ...quick, load: { kind: 'constant', rate: 400 } })
    const { sent, succeeded, failed } = run.requests
    expect(sent).toBe(200)
    expect(failed).toBe(50)
    expect(succeeded).toBe(150)
    expect(run.errors).toEqual({ ENGINE_FAILED: 50 })
    expect(run.firstError).toContain('fails')
    const late = fakeModel({ inputs: [], outputs: [] }, { latencyMs: 50 })
    const expired = await profile(late, { ...quick, load: { kind: 'constant', rate: 100 }, deadlineMs: 5 })
    expect(expired.requests).toMatchObject({ sent: 50, expired: 50 })
  })

  it('gives up on what is never answered, and does not hang', async () => {
    const target = await serverThat((_request, response, number) => {
      if (number === 0) response.end('{}')
    })
    const load = { kind: 'constant', rate: 40 } as const
    const run = await profile(target, { ...quick, load, timeoutMs: 300 })
    expect(run.requests.sent).toBe(20)
    expect(run.requests.succeeded).toBe(0)
    expect(run.requests.aborted + run.requests.failed).toBe(20)
    const closed = await profile(target, { ...quick, load: { kind: 'closed', concurrency: 3 }, timeoutMs: 300 }).catch(
      (error: Error) => error,
    )
    expect(closed).toBeDefined()
  })

  it('does not retry what is refused at once without end', async () => {
    const model = fakeModel({ inputs: [], outputs: [] }, { failEvery: 1 })
    // The first request tries whether the model answers.
    await expect(profile(model, { ...quick, load: { kind: 'closed', concurrency: 2 } })).rejects.toThrow('fails')
    const half = fakeModel({ inputs: [], outputs: [] }, { failEvery: 2 })
    const run = await profile(half, { ...quick, load: { kind: 'closed', concurrency: 2 } })
    expect(run.requests.failed).toBeGreaterThan(0)
    expect(run.seconds).toBeCloseTo(0.5, 6)
  })

  it('ends when it is aborted', async () => {
    const target = await serverThat((_request, response) => response.end('{}'))
    const reason = new Error('enough')
    const signal = AbortSignal.timeout(300)
    const controller = new AbortController()
    signal.onabort = () => controller.abort(reason)
    const run = profile(target, {
      warmup: 0,
      seconds: 60,
      load: { kind: 'poisson', rate: 50 },
      signal: controller.signal,
    })
    await expect(run).rejects.toBe(reason)
  })

  it('replays a trace, faster where that is asked', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'subten-trace-'))
    try {
      const file = join(folder, 'trace.csv')
      await writeFile(file, `timestamp_ms\n${Array.from({ length: 50 }, (_, i) => i * 20).join('\n')}\n`)
      const model = fakeModel({ inputs: [], outputs: [] })
      const run = await profile(model, { warmup: 0, load: { kind: 'replay', file, speed: 4 } })
      expect(run.load).toEqual({ kind: 'replay', file, requests: 50, speed: 4 })
      expect(run.requests.sent).toBe(50)
      expect(run.seconds).toBeCloseTo(0.245, 2)
    } finally {
      await rm(folder, { recursive: true })
    }
  })

  it('says how far it is', async () => {
    const phases = new Set<string>()
    const model = fakeModel({ inputs: [], outputs: [] })
    const onProgress = ({ phase }: { phase: string }): unknown => phases.add(phase)
    await profile(model, { warmup: 0.6, seconds: 0.6, load: { kind: 'poisson', rate: 100 }, onProgress })
    expect([...phases]).toEqual(['warm-up', 'measuring'])
  })

  it.each([
    [{ load: { kind: 'poisson', rate: 0 } }],
    [{ load: { kind: 'gamma', rate: 5, cv: -1 } }],
    [{ load: { kind: 'closed', concurrency: 0 } }],
    [{ load: { kind: 'ramp', from: 0, to: 0 } }],
    [{ load: { kind: 'poisson', rate: 5 }, seconds: Number.NaN }],
    [{ load: { kind: 'poisson', rate: 5 }, warmup: -1 }],
  ] as const)('refuses options that mean nothing (%#)', async (options) => {
    const model = fakeModel({ inputs: [], outputs: [] })
    await expect(profile(model, options)).rejects.toMatchObject({ code: 'INVALID_INPUT' })
  })
})

describe('a server as the target', () => {
  it.each(['kserve-json', 'kserve-binary'] as const)('is measured by %s', async (protocol) => {
    const { url } = await serving([echoModel(vector)])
    const run = await profile({ url, protocol, model: 'echo' }, { ...quick, load: { kind: 'poisson', rate: 100 } })
    expect(run.requests.sent).toBeGreaterThan(20)
    expect(run.requests.succeeded).toBe(run.requests.sent)
    expect(run.stagesUs?.total.count).toBe(run.requests.sent)
    expect(run.batches?.count).toBe(run.requests.sent)
    expect(run.cpuUsPerRequest).toBeGreaterThan(0)
  })

  it('is measured by the classify endpoint', async () => {
    const model = await load(new URL('models/digits', root).pathname)
    const { url } = await serving([model])
    const image = await readFile(new URL('test/data/seven.png', root))
    const target = { url, protocol: 'classify', model: 'digits', image } as const
    const run = await profile(target, { ...quick, load: { kind: 'closed', concurrency: 2 } })
    expect(run.requests.succeeded).toBeGreaterThan(0)
    expect(run.requests.succeeded).toBe(run.requests.sent)
    await model.close()
  })

  it('of another kind needs no metrics', async () => {
    const target = await serverThat((_request, response) => response.end('{}'))
    const run = await profile(target, { ...quick, load: { kind: 'poisson', rate: 100 } })
    expect(run.requests.succeeded).toBe(run.requests.sent)
    expect(run.stagesUs).toBeUndefined()
    expect(run.cpuUsPerRequest).toBeUndefined()
  })

  it('that refuses and fails is counted by status', async () => {
    const target = await serverThat((_request, response, number) => {
      response.statusCode = number === 0 ? 200 : ([200, 503, 504, 500, 429][number % 5] as number)
      response.end('{"error":"busy"}')
    })
    const run = await profile(target, { ...quick, load: { kind: 'constant', rate: 100 } })
    expect(run.requests).toEqual({ sent: 50, succeeded: 10, refused: 20, expired: 10, failed: 10, aborted: 0 })
    expect(run.errors).toEqual({ 'HTTP 503': 10, 'HTTP 504': 10, 'HTTP 500': 10, 'HTTP 429': 10 })
    expect(run.firstError).toMatch(/HTTP \d+: .*busy/)
  })

  it('that is busy when it is asked first is measured all the same', async () => {
    for (const status of [429, 504]) {
      const target = await serverThat((_request, response, number) => {
        response.statusCode = number === 0 ? status : 200
        response.end('{}')
      })
      const run = await profile(target, { ...quick, load: { kind: 'poisson', rate: 100 } })
      expect(run.requests.succeeded).toBe(run.requests.sent)
    }
  })

  it('that is not there, or has no such model, or takes no such input is said plainly', async () => {
    const options = { ...quick, load: { kind: 'poisson', rate: 10 } } as const
    const gone = { url: 'http://127.0.0.1:1', protocol: 'kserve-json', model: 'm' } as const
    await expect(profile(gone, options)).rejects.toMatchObject({
      code: 'MODEL_NOT_FOUND',
      message: expect.stringContaining('no server answers'),
    })
    const { url } = await serving([echoModel(vector)])
    const target = { url, protocol: 'kserve-json', model: 'echo' } as const
    await expect(profile({ ...target, model: 'other' }, options)).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND' })
    await expect(profile({ ...target, url: 'localhost' }, options)).rejects.toMatchObject({ code: 'INVALID_INPUT' })
    await expect(profile(target, { ...options, shapes: { x: [1, 3] } })).rejects.toMatchObject({
      code: 'INVALID_INPUT',
    })
    await expect(profile({ ...target, protocol: 'kserve-grpc' }, options)).rejects.toMatchObject({
      code: 'NOT_SUPPORTED',
      remedy: expect.stringContaining('gRPC server'),
    })
  })
})
