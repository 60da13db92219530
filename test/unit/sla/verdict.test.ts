import { describe, expect, it } from 'vitest'
import type { ProfileReport, ProfileRun, SeriesPoint, TargetFacts } from '../../../src/profile/report-types.js'
import type { Contract, Indicator, Objective } from '../../../src/sla/types.js'
import { verdictOf } from '../../../src/sla/verdict.js'

const promise = (indicator: Indicator, target: number, minimumEvents = 20): Objective => ({
  name: 'promise',
  description: '',
  service: 's',
  owner: '',
  indicator,
  target,
  window: { kind: 'rolling', ms: 28 * 86_400_000 },
  minimumEvents,
  alerts: [],
  consequences: '',
  enforce: false,
  source: { file: 'sla.yaml', line: 1 },
})
const latency = (thresholdMs: number, point: 'client' | 'edge' | 'engine' = 'engine'): Indicator => ({
  kind: 'latency',
  model: 'digits',
  point,
  thresholdUs: thresholdMs * 1000,
})
const availability: Indicator = { kind: 'availability', model: 'digits', point: 'engine' }
const goodput = (perSecond: number): Indicator => ({
  kind: 'goodput',
  model: 'digits',
  point: 'engine',
  thresholdUs: 10_000,
  perSecond,
})

const NOTHING = { needs: 1 }
const summary = (count: number) => ({
  count,
  mean: 0,
  max: 0,
  p50: NOTHING,
  p90: NOTHING,
  p95: NOTHING,
  p99: NOTHING,
  p999: NOTHING,
})
/** Seconds of a steady run. */
const seconds = (n: number, point: Partial<SeriesPoint> = {}): SeriesPoint[] =>
  Array.from({ length: n }, (_, at) => ({
    at,
    seconds: 1,
    sent: 1000,
    succeeded: 1000,
    bad: 0,
    p50: 1000,
    p99: 9000,
    max: 20_000,
    ...point,
  }))

/** 10,000 requests in ten seconds: 99.5 % within 9 ms, 99.6 % within 12 ms, the slowest at 20 ms. */
function run(over: Partial<ProfileRun> = {}, tally: Partial<ProfileRun['requests']> = {}): ProfileRun {
  return {
    label: 'poisson 1000/s',
    load: { kind: 'poisson', rate: 1000, seed: 1 },
    startedAt: 0,
    seconds: 10,
    warmup: { seconds: 1, requests: 0, steady: true, how: '' },
    requests: { sent: 10_000, succeeded: 10_000, failed: 0, refused: 0, expired: 0, aborted: 0, ...tally },
    errors: {},
    throughput: 1000,
    latencyUs: summary(10_000),
    serviceUs: summary(10_000),
    curve: [
      { percentile: 0, us: 500 },
      { percentile: 99.5, us: 9_000 },
      { percentile: 99.6, us: 12_000 },
      { percentile: 100, us: 20_000 },
    ],
    series: seconds(10),
    ...over,
  }
}

function verdict(objective: Objective, runs: ProfileRun | ProfileRun[], kind: TargetFacts['kind'] = 'in-process') {
  const contract: Contract = { file: 'sla.yaml', services: [], objectives: [objective], maintenance: [] }
  const report: ProfileReport = {
    schema: 'subten.profile/1',
    at: 0,
    machine: { cpu: '', cpus: 1, memoryGiB: 1, os: '', node: '', subten: '' },
    target: { kind, model: 'digits' },
    seed: 1,
    runs: [runs].flat(),
    notes: [],
  }
  return verdictOf(contract, report)[0]
}

describe('latency', () => {
  it('is kept when the whole interval reaches the target', () => {
    // 9,950 to 9,959 of 10,000 were within 10 ms; at least 99.34 % with 95 % confidence.
    expect(verdict(promise(latency(10), 0.99), run())).toEqual({
      objective: 'promise',
      promise: '99 % of requests within 10 ms, measured at engine, over 28 days',
      delivered: '99.5 to 99.59 % (9,950 to 9,959 of 10,000 requests; 95 % interval 99.3413 to 99.7057 %)',
      ok: true,
    })
  })

  it('is broken when the whole interval stays below it', () => {
    const { ok, unknown, delivered } = verdict(promise(latency(10), 0.999), run()) ?? {}
    expect({ ok, unknown }).toEqual({ ok: false, unknown: undefined })
    expect(delivered).toMatch(/^99\.5 to 99\.59 %/)
  })

  it('is counted exactly where the run was given the threshold as its limit', () => {
    const limited = run({ goodWithinUs: 10_000, goodput: 995.5 })
    expect(verdict(promise(latency(10), 0.99), limited)?.delivered).toMatch(/^99\.55 % \(9,955 of 10,000 requests/)
  })

  it('every answer is good when the slowest is within, and none when the fastest is late', () => {
    expect(verdict(promise(latency(20), 0.99), run())?.delivered).toMatch(/^100 % \(10,000 of 10,000/)
    expect(verdict(promise(latency(0.4), 0.01), run())).toMatchObject({
      ok: false,
      delivered: expect.stringMatching(/^0 % \(0 of 10,000/),
    })
  })

  it('counts refused, expired and failed requests as bad, and leaves out what the generator gave up', () => {
    // 9,000 answers, all within 20 ms, of 10,000 that were not given up.
    const shed = run(
      { latencyUs: summary(9_000) },
      { sent: 11_000, succeeded: 9_000, failed: 300, refused: 400, expired: 300, aborted: 1_000 },
    )
    expect(verdict(promise(latency(20), 0.95), shed)).toMatchObject({
      ok: false,
      delivered: expect.stringMatching(/^90 % \(9,000 of 10,000 requests/),
    })
    expect(verdict(promise(availability, 0.85), shed)).toMatchObject({ ok: true })
  })

  it('is undecided when the target lies in the interval, or between two points of the curve', () => {
    expect(verdict(promise(latency(10), 0.9955), run())?.unknown).toMatch(/lies between two of them/)
    const limited = run({ goodWithinUs: 10_000, goodput: 995 })
    expect(verdict(promise(latency(10), 0.9949), limited)?.unknown).toBe(
      'too close to 99.49 % to tell with 10000 requests; measure longer',
    )
  })

  it('is undecided when all were good and still too few to tell', () => {
    const few = run({ latencyUs: summary(300) }, { sent: 300, succeeded: 300 })
    expect(verdict(promise(latency(20), 0.99), few)).toMatchObject({
      ok: false,
      unknown: 'all were good, but 300 requests cannot show 99 %: it takes 368',
    })
    const enough = run({ latencyUs: summary(368) }, { sent: 368, succeeded: 368 })
    expect(verdict(promise(latency(20), 0.99), enough)).toMatchObject({ ok: true })
  })

  it('is unknown below the minimum of events that the contract asks for', () => {
    expect(verdict(promise(latency(10), 0.99, 20_000), run())?.unknown).toBe(
      '10000 requests are fewer than the 20000 that the contract asks for',
    )
  })

  it('counts a run with one stall as fewer requests than it had', () => {
    // 1 % of requests slow, target 98.7 %: enough where they lie anywhere, too little to tell where one second has all.
    const limits = { goodWithinUs: 10_000, goodput: 990 }
    const even = run({ ...limits, series: seconds(10, { p99: 9_900, max: 11_000 }) })
    const stalled = run({
      ...limits,
      series: [...seconds(9, { max: 9_000 }), ...seconds(1, { p50: 5_000, p99: 400_000, max: 500_000 })],
    })
    expect(verdict(promise(latency(10), 0.987), even)).toMatchObject({ ok: true })
    expect(verdict(promise(latency(10), 0.987), stalled)?.unknown).toMatch(/slow in clusters; measure longer/)
  })
})

describe('what a target shows', () => {
  it('a promise at client is measured by any target', () => {
    for (const kind of ['in-process', 'kserve-json', 'kserve-grpc'] as const) {
      expect(verdict(promise(latency(10, 'client'), 0.99), run(), kind)).toMatchObject({ ok: true })
    }
  })

  it('from outside, a kept promise is kept inside, and a broken one says nothing', () => {
    expect(verdict(promise(latency(10, 'edge'), 0.99), run(), 'kserve-binary')).toMatchObject({ ok: true })
    expect(verdict(promise(latency(10, 'edge'), 0.999), run(), 'kserve-binary')).toMatchObject({
      ok: false,
      unknown: expect.stringMatching(/^seen from outside/),
    })
  })

  it('in process nothing happens at edge', () => {
    expect(verdict(promise(latency(10, 'edge'), 0.99), run())).toMatchObject({
      ok: false,
      delivered: 'not measured',
      unknown: expect.stringMatching(/no front end/),
    })
  })

  it('accuracy and freshness are not what a load test measures', () => {
    expect(verdict(promise({ kind: 'accuracy', model: 'digits' }, 0.9), run())?.unknown).toMatch(/no labels/)
    expect(verdict(promise({ kind: 'freshness', model: 'digits', thresholdUs: 1 }, 0.9), run())?.unknown).toMatch(
      /no stream/,
    )
  })

  it('a run that did not keep its schedule says nothing', () => {
    const late = run({
      schedule: { kept: false, boundUs: 1, late: 0.5, allowed: 0.01, latenessUs: summary(1), reason: '50 % were late' },
    })
    expect(verdict(promise(latency(20), 0.5), late)).toMatchObject({ ok: false, unknown: '50 % were late' })
  })

  it('a closed loop can show that a latency is missed, not that it is kept', () => {
    const closed = run({ load: { kind: 'closed', concurrency: 4 } })
    expect(verdict(promise(latency(10), 0.99), closed)?.unknown).toMatch(/closed loop/)
    expect(verdict(promise(latency(10), 0.999), closed)).toMatchObject({ ok: false })
    expect(verdict(promise(latency(10), 0.999), closed)?.unknown).toBeUndefined()
    expect(verdict(promise(availability, 0.99), closed)).toMatchObject({ ok: true })
  })
})

describe('goodput', () => {
  it('counts seconds with enough answers in time', () => {
    // Each second has 1,000 answers, of which between 99 and 100 % were in time.
    const ninety = run({ series: seconds(90) })
    expect(verdict(promise(goodput(900), 0.9, 1), ninety)).toMatchObject({
      ok: true,
      delivered: expect.stringMatching(/^100 % \(90 of 90 seconds/),
    })
    expect(verdict(promise(goodput(2_000), 0.9, 1), run({ series: seconds(90, { p99: 11_000 }) }))).toMatchObject({
      ok: false,
      delivered: expect.stringMatching(/^0 % \(0 of 90 seconds/),
    })
  })

  it('a second in which fewer were asked for is good when all of them were in time', () => {
    const quiet = run({ series: seconds(90, { sent: 10, succeeded: 10, max: 9_000 }) })
    expect(verdict(promise(goodput(900), 0.9, 1), quiet)).toMatchObject({ ok: true })
    const failing = run({ series: seconds(90, { sent: 10, succeeded: 9, bad: 1, max: 9_000 }) })
    expect(verdict(promise(goodput(900), 0.9, 1), failing)).toMatchObject({ ok: false })
  })

  it('parts of a second are put together to about one', () => {
    const quarters = seconds(40, { seconds: 0.25, sent: 250, succeeded: 250, max: 9_000 })
    expect(verdict(promise(goodput(900), 0.5, 1), run({ series: quarters }))?.delivered).toMatch(/10 of 10 seconds/)
    const coarse = seconds(10, { seconds: 10 })
    expect(verdict(promise(goodput(900), 0.5, 1), run({ series: coarse }))?.unknown).toMatch(/parts of 10\.0 s/)
  })
})

it('of several runs the worst is told, and a broken one outweighs an undecided one', () => {
  const good = run({ label: 'slow load' })
  const bad = run({ label: 'fast load', curve: [{ percentile: 0, us: 50_000 }] })
  const few = run({ label: 'short' }, { sent: 30, succeeded: 30 })
  const objective = promise(latency(20), 0.99)
  expect(verdict(objective, [good, bad, few])).toMatchObject({
    ok: false,
    delivered: expect.stringMatching(/^0 % .*\(fast load\)$/),
  })
  expect(verdict(objective, [good, few])).toMatchObject({ ok: false, unknown: expect.stringMatching(/30 requests/) })
  expect(verdict(objective, [good, good])).toMatchObject({ ok: true })
})

it('promises about other models are left out, and a report without runs decides nothing', () => {
  expect(verdict(promise({ ...latency(10), model: 'mlp' } as Indicator, 0.99), run())).toBeUndefined()
  expect(verdict(promise(latency(10), 0.99), [])).toMatchObject({ ok: false, unknown: 'the report has no run' })
})
