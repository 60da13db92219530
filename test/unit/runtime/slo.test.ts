import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { SubtenError } from '../../../src/runtime/errors.js'
import { measuredOf } from '../../../src/runtime/measured.js'
import type { Model } from '../../../src/runtime/types.js'
import { loaded, modelDirectory, row, slowEcho } from './loaded.js'

const uncached = { latencyCache: false } as const

/** Sends one request each `everyMs`, so many times, and says how they ended, in order. */
async function offered(model: Model, count: number, everyMs: number, deadlineMs?: number) {
  const began = performance.now()
  const ends = []
  for (let i = 0; i < count; i++) {
    const due = began + i * everyMs
    if (due > performance.now()) await sleep(due - performance.now())
    const sent = performance.now()
    const end = model.infer(row(i), deadlineMs === undefined ? {} : { deadlineMs }).then(
      () => ({ code: 'OK', ms: performance.now() - sent, details: {} as SubtenError['details'] }),
      (error: unknown) => {
        if (!(error instanceof SubtenError)) throw error
        return { code: error.code, ms: performance.now() - sent, details: error.details }
      },
    )
    ends.push(end)
  }
  return Promise.all(ends)
}

describe('scheduling by deadline, in the core', () => {
  it('refuses what it could not end in time, at once and with the prediction, and ends what it admits', async () => {
    // 10 ms a batch of one row: 100 requests a second, and twice as many are offered.
    const model = await slowEcho(10, { max_batch_size: 1, slo: { p99Ms: 60 }, ...uncached })
    const began = performance.now()
    const ends = await offered(model, 200, 5)
    const wallUs = (performance.now() - began) * 1000
    const refused = ends.filter(({ code }) => code === 'SLO_UNREACHABLE')
    const admitted = ends.filter(({ code }) => code === 'OK')
    expect(refused.length).toBeGreaterThan(30)
    for (const { details } of refused) {
      expect(details.budgetMs).toBe(60)
      expect(details.predictedMs).toBeGreaterThan(0)
    }
    const { slo, requests, stages } = model.stats()
    // It refuses what the engine has no time for, not more: on a busy machine a batch takes many times as long.
    expect(stages.compute.count * stages.compute.mean).toBeGreaterThan(0.3 * wallUs)
    expect(slo?.refused).toBe(refused.length)
    expect(slo?.admitted).toBe(ends.length - refused.length)
    expect(requests).toMatchObject({ refused: refused.length, succeeded: admitted.length, inFlight: 0 })
    // Where other programs leave the engine its time, hardly any is late, while in a queue that only grows nearly all are.
    const late = admitted.filter(({ ms }) => ms > 60).length
    if (stages.compute.p99 < 20_000) expect(late).toBeLessThan(admitted.length / 4)
  })

  it('takes the requests with the least time left first', async () => {
    const model = await slowEcho(150, { max_batch_size: 1, slo: { p99Ms: 5000 }, ...uncached })
    const order: number[] = []
    const send = (value: number, deadlineMs?: number): Promise<unknown> =>
      model.infer(row(value), deadlineMs === undefined ? {} : { deadlineMs }).then(() => order.push(value))
    const first = send(0)
    while (model.stats().running.batches === 0 && order.length === 0) await sleep(1)
    await Promise.all([first, send(1, 4000), send(2, 3000), send(3), send(4, 2000)])
    expect(order).toEqual([0, 4, 2, 1, 3])
  })

  it('without slo keeps the order of arrival, whatever the deadlines', async () => {
    const model = await slowEcho(20, { max_batch_size: 1 })
    const order: number[] = []
    const send = (value: number, deadlineMs?: number): Promise<unknown> =>
      model.infer(row(value), deadlineMs === undefined ? {} : { deadlineMs }).then(() => order.push(value))
    await Promise.all([send(0), send(1, 4000), send(2, 3000), send(3), send(4, 2000)])
    expect(order).toEqual([0, 1, 2, 3, 4])
    expect(model.stats().slo).toBeUndefined()
  })

  it('batches a model whose config.pbtxt does not ask for it', async () => {
    const model = await slowEcho(5, { dynamic_batching: null, slo: { p99Ms: 1000 }, ...uncached })
    await Promise.all(Array.from({ length: 64 }, (_, i) => model.infer(row(i))))
    expect(model.stats().batches.count).toBeLessThan(64)
  })

  it('knows what batches take, and the next process knows it from the start', async () => {
    const cache = await mkdtemp(join(tmpdir(), 'subten-cache-'))
    try {
      const options = { slo: { p99Ms: 1000 }, latencyCache: cache }
      const model = await slowEcho(3, options)
      for (let i = 0; i < 20; i++) await model.infer(row(i))
      const measured = model.stats().slo?.latencies.find(({ rows, basis }) => rows === 1 && basis === 'measured')
      expect(measured?.typicalUs).toBeGreaterThan(2500)
      expect(measured?.highUs).toBeGreaterThanOrEqual(measured?.typicalUs as number)
      await model.close()
      expect(await readdir(join(cache, 'latency'))).toHaveLength(1)
      const next = await slowEcho(3, options)
      const known = next.stats().slo?.latencies.find(({ rows }) => rows === 1)
      expect(known?.typicalUs).toBeGreaterThan(2500)
    } finally {
      await rm(cache, { recursive: true })
    }
  })

  it('knows what batches of an engine take that completes by itself, before the first request', async () => {
    const model = await slowEcho(3, { slo: { p99Ms: 1000 }, ...uncached, parameters: { completion: 'async' } })
    const { slo, requests } = model.stats()
    const known = slo?.latencies.filter(({ basis }) => basis === 'measured').map(({ rows }) => rows)
    expect(known).toEqual(expect.arrayContaining([1, 2]))
    expect(slo?.latencies.find(({ rows }) => rows === 1)?.typicalUs).toBeGreaterThan(2500)
    expect(requests.succeeded).toBe(0)
  })

  it('is served by the cheaper variant where the model is too slow', async () => {
    const config = (busyUs: number, more = ''): string =>
      `backend: "subten_null" max_batch_size: 4
      input [{ name: "input" data_type: TYPE_FP32 dims: [ 64 ] }]
      output [{ name: "output" data_type: TYPE_FP32 dims: [ 64 ] }]
      parameters { key: "busy_us" value { string_value: "${busyUs}" } } ${more}`
    const cheap = await modelDirectory('cheap', config(100))
    const variant = `parameters { key: "subten.cheaper_variant" value { string_value: "\\"${cheap}\\"" } }`
    const model = await loaded(await modelDirectory('dear', config(40_000, variant)), {
      slo: { p99Ms: 20 },
      ...uncached,
    })
    const names = []
    for (let i = 0; i < 30; i++) names.push((await model.infer(row(i), { trace: true })).timing?.servedBy)
    expect(names.filter((name) => name === 'cheap').length).toBeGreaterThan(15)
    const { requests } = model.stats()
    expect(requests.servedByVariant).toBe(names.filter((name) => name === 'cheap').length)
    expect(requests.succeeded).toBe(names.filter((name) => name === undefined).length)
    expect(requests.refused).toBe(0)
    // Contracts count the answers of both as answers of the model that was asked.
    expect(measuredOf(model)?.totals([60_000_000])).toMatchObject({ measured: 30, within: [30], failed: 0, refused: 0 })
  })

  it('asks the cheaper variant for what the model cannot end in time', async () => {
    const parameters = { 'subten.cheaper_variant': '"digits_int8"' }
    const model = await loaded('models/digits', { slo: { p99Ms: 1000 }, parameters, ...uncached })
    const image = { image: new Float32Array(64) }
    for (let i = 0; i < 50; i++) await model.infer(image)
    // No model of any kind ends in a microsecond: both refuse, and the error is the model's own.
    const refused = await model.infer(image, { deadlineMs: 0.001 }).catch((error: unknown) => error)
    expect(refused).toMatchObject({ code: 'SLO_UNREACHABLE', details: { budgetMs: 0.001 } })
    expect(model.stats().requests).toMatchObject({ servedByVariant: 0, refused: 1 })
  })
})
