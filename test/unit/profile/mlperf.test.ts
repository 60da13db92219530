import { describe, expect, it } from 'vitest'
import { mlperf, type Scenario } from '../../../src/profile/mlperf.js'
import { fakeModel } from '../../../src/testing.js'

const model = (latencyMs = 0) => fakeModel({ inputs: [], outputs: [] }, { latencyMs })
const scenario = (name: Scenario, more = {}) =>
  mlperf(model(), { scenario: name, seconds: 1, warmup: 0, lateBoundUs: 60e6, ...more })

describe('MLPerf', () => {
  it('single-stream reports the early-stopping p90 of one query after another', async () => {
    const { result, profiled } = await mlperf(model(5), { scenario: 'single-stream', seconds: 1, warmup: 0 })
    expect(result.metric).toMatchObject({ name: expect.stringContaining('p90'), unit: 'µs' })
    expect(result.metric.value).toBeGreaterThan(4900)
    expect(profiled.run.load).toEqual({ kind: 'closed', concurrency: 1 })
    expect(result.checks.find(({ rule }) => rule === 'early stopping')).toMatchObject({ ok: true })
  })

  it('multi-stream sends queries of 8, each of which ends with its last sample, and needs 662', async () => {
    const target = model(3)
    const { result, profiled } = await mlperf(target, { scenario: 'multi-stream', seconds: 1, warmup: 0 })
    expect(target.stats().requests.submitted).toBe(profiled.run.requests.sent * 8 + 1)
    expect(result.checks.find(({ rule }) => rule === 'early stopping')).toMatchObject({
      ok: false,
      detail: expect.stringContaining('it takes 662'),
    })
  })

  it('server counts what took too long against the criterion', async () => {
    const kept = await scenario('server', { rate: 800, latencyUs: 5e6 })
    expect(kept.result.metric).toEqual({ name: 'Poisson rate', value: 800, unit: 'queries/s' })
    expect(kept.result.checks.find(({ rule }) => rule === 'early stopping')?.ok).toBe(true)
    const slow = await mlperf(model(20), {
      scenario: 'server',
      seconds: 1,
      warmup: 0,
      lateBoundUs: 60e6,
      rate: 800,
      latencyUs: 1000,
    })
    expect(slow.result.checks.find(({ rule }) => rule === 'early stopping')).toMatchObject({
      ok: false,
      detail: expect.stringMatching(/took longer than 1 ms/),
    })
  })

  it('offline answers at least 24,576 samples, however short the run', async () => {
    const { result, profiled } = await scenario('offline', { seconds: 0.2 })
    expect(profiled.run.requests.succeeded).toBeGreaterThanOrEqual(24_576)
    expect(result.metric).toMatchObject({ name: 'throughput', unit: 'samples/s' })
    expect(result.metric.value).toBeCloseTo(profiled.run.requests.succeeded / profiled.run.seconds, 6)
  })

  it('is not valid when it was shorter than 600 s, and names that', async () => {
    const { result } = await scenario('single-stream')
    expect(result.valid).toBe(false)
    const broken = result.checks.filter((check) => !check.ok)
    expect(broken).toEqual([
      { rule: 'minimum duration', ok: false, detail: expect.stringMatching(/1\.0 s; it takes 600 s/) },
    ])
  })

  it('is not valid when a query was not answered', async () => {
    const failing = fakeModel({ inputs: [], outputs: [] }, { failEvery: 10 })
    const { result } = await mlperf(failing, { scenario: 'single-stream', seconds: 0.3, warmup: 0 })
    expect(result.checks.find(({ rule }) => rule === 'every query is answered')).toMatchObject({ ok: false })
  })
})
