import { discarded, fewestQueries, queriesWithin } from './early-stopping.js'
import { countAtMost, valueAtRank } from './histogram.js'
import type { LoadPlan } from './load-plan.js'
import { measure, type Profiled, type ProfileOptions } from './profile.js'
import type { MlperfResult } from './report-types.js'
import { findRate } from './search.js'
import type { Target } from './target.js'
import { trialAlone, trialAt } from './trial.js'

export type Scenario = MlperfResult['scenario']
export const SCENARIOS: readonly Scenario[] = ['single-stream', 'multi-stream', 'server', 'offline']

/** Rules of MLPerf inference: inference_rules.adoc, section "Scenarios", and loadgen/mlperf.conf. */
const MIN_SECONDS = 600
const OFFLINE_SAMPLES = 24_576
const SAMPLES_PER_QUERY = 8
const TAIL: Record<Exclude<Scenario, 'offline'>, number> = { 'single-stream': 0.9, 'multi-stream': 0.99, server: 0.99 }
/** Of a server run that failed, the next one: "it will reduce the value by a small delta then try again". */
const LESS = 0.95
const SERVER_TRIES = 4
/** How much more than the expected rate gives in the time an offline query holds; loadgen's factor. */
const OFFLINE_SLACK = 1.1
/** Samples that the offline query has open at a time, so that no queue refuses them. */
const OFFLINE_OPEN = 256

export interface MlperfOptions extends Omit<ProfileOptions, 'load' | 'seconds' | 'samplesPerQuery' | 'queries'> {
  readonly scenario: Scenario
  /** Shorter than 600 s makes the result invalid. */
  readonly seconds?: number
  /** Server: the latency that 99 % of queries must keep, microseconds; 10,000 by default, as in mlperf.conf. */
  readonly latencyUs?: number
  /** Server: queries a second; looked for where absent. */
  readonly rate?: number
}

export interface Mlperf {
  readonly result: MlperfResult
  readonly profiled: Profiled
}

type Check = MlperfResult['checks'][number]

/**
 * One scenario of MLPerf inference: its load, its metric and its conditions. What belongs to a submission but not to the
 * load (reference model, data set, accuracy run, audit) is not here.
 */
export async function mlperf(target: Target, options: MlperfOptions): Promise<Mlperf> {
  const seconds = options.seconds ?? MIN_SECONDS
  switch (options.scenario) {
    case 'single-stream':
      return stream(target, options, seconds, 1)
    case 'multi-stream':
      return stream(target, options, seconds, SAMPLES_PER_QUERY)
    case 'server':
      return server(target, options, seconds)
    case 'offline':
      return offline(target, options, seconds)
  }
}

function run(target: Target, options: MlperfOptions, load: LoadPlan, more: Partial<ProfileOptions>): Promise<Profiled> {
  return measure(target, { ...options, load, label: `MLPerf ${options.scenario}`, ...more })
}

/** The next query when the last one has ended; the metric is the early-stopping estimate of the tail. */
async function stream(target: Target, options: MlperfOptions, seconds: number, samples: number): Promise<Mlperf> {
  const tail = TAIL[options.scenario as 'single-stream']
  const load: LoadPlan = { kind: 'closed', concurrency: 1 }
  const profiled = await run(target, options, load, { seconds, samplesPerQuery: samples })
  const { count } = profiled.latency
  const dropped = discarded(count, tail)
  const checks = [
    duration(profiled.run.seconds),
    failures(profiled),
    {
      rule: 'early stopping',
      ok: dropped !== undefined,
      detail:
        dropped === undefined
          ? `${count} queries; it takes ${fewestQueries(tail)}`
          : `${count} queries, of which the ${dropped} slowest are discarded`,
    },
  ]
  const value = dropped === undefined ? 0 : valueAtRank(profiled.latency, count - dropped) / 1000
  const metric = { name: `p${tail * 100} latency (early-stopping estimate)`, value, unit: 'µs' }
  return ended(options.scenario, checks, metric, profiled)
}

/** Poisson arrivals; the metric is the rate at which 99 % of queries keep the latency. */
async function server(target: Target, options: MlperfOptions, seconds: number): Promise<Mlperf> {
  const limitUs = options.latencyUs ?? 10_000
  let rate = options.rate ?? (await candidate(target, options, limitUs))
  for (let left = options.rate === undefined ? SERVER_TRIES : 1; ; left--) {
    const profiled = await run(target, options, { kind: 'poisson', rate }, { seconds })
    const checks = serverChecks(profiled, limitUs)
    const passed = checks.every(({ rule, ok }) => ok || rule === 'minimum duration')
    if (passed || left <= 1) {
      const metric = { name: 'Poisson rate', value: rate, unit: 'queries/s' }
      return ended('server', checks, metric, profiled)
    }
    rate *= LESS
  }
}

async function candidate(target: Target, options: MlperfOptions, limitUs: number): Promise<number> {
  const found = await findRate({
    percentile: 'p99',
    limitUs,
    repeats: 1,
    alone: () => trialAlone(target, { ...options, seconds: 2 }, 0.99),
    trial: (rate, number) => trialAt(target, { ...options, seconds: 5 }, rate, 0.99, number),
  })
  return Math.max(found.rate, 1)
}

function serverChecks({ run, latency }: Profiled, limitUs: number): Check[] {
  // What failed or never came is late.
  const over = run.requests.sent - countAtMost(latency, limitUs * 1000)
  const wanted = queriesWithin(over, TAIL.server) + over
  const { sent } = run.requests
  return [
    duration(run.seconds),
    {
      rule: 'early stopping',
      ok: sent >= wanted,
      detail: `${over} of ${sent} queries took longer than ${limitUs / 1000} ms, for which it takes ${wanted} queries`,
    },
    {
      rule: 'schedule',
      ok: run.schedule?.kept === true,
      detail: run.schedule?.reason ?? `seed ${run.load.kind === 'poisson' ? run.load.seed : 0}`,
    },
  ]
}

/** All samples at once; the metric is samples a second. */
async function offline(target: Target, options: MlperfOptions, seconds: number): Promise<Mlperf> {
  const load: LoadPlan = { kind: 'closed', concurrency: OFFLINE_OPEN }
  const trial = await run(target, options, load, { seconds: Math.min(2, seconds) })
  const samples = Math.max(OFFLINE_SAMPLES, Math.ceil(trial.run.throughput * seconds * OFFLINE_SLACK))
  const profiled = await run(target, options, load, { seconds: seconds * OFFLINE_SLACK, queries: samples, warmup: 0 })
  const { succeeded } = profiled.run.requests
  const checks = [
    duration(profiled.run.seconds),
    failures(profiled),
    {
      rule: 'samples of the query',
      ok: succeeded >= OFFLINE_SAMPLES,
      detail: `${succeeded} samples, ${OFFLINE_OPEN} of them open at a time; it takes ${OFFLINE_SAMPLES}`,
    },
  ]
  const metric = { name: 'throughput', value: succeeded / profiled.run.seconds, unit: 'samples/s' }
  return ended('offline', checks, metric, profiled)
}

function duration(seconds: number): Check {
  const rule = 'minimum duration'
  return { rule, ok: seconds >= MIN_SECONDS, detail: `${seconds.toFixed(1)} s; it takes ${MIN_SECONDS} s` }
}

function failures({ run: { requests, firstError } }: Profiled): Check {
  const bad = requests.sent - requests.succeeded
  return {
    rule: 'every query is answered',
    ok: bad === 0,
    detail: bad === 0 ? 'yes' : `${bad} were not: ${firstError}`,
  }
}

function ended(
  scenario: Scenario,
  checks: readonly Check[],
  metric: MlperfResult['metric'],
  profiled: Profiled,
): Mlperf {
  const valid = checks.every((check) => check.ok)
  return { result: { scenario, valid, checks, metric }, profiled }
}
