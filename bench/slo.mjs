// Does goodput collapse? Open-loop load from a thread of its own on the null engine (1 ms a batch and 0.1 ms a row, batches of
// up to 8), and on ResNet-50: batching by due times (`slo`) beside every static setting of a sweep. An answer within the
// deadline, counted from when its request should have been sent, is good.
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { load, profile } from 'subten'
import { at } from '../scripts/step.mjs'
import { folderOf, RESNET_NOTE } from './contenders.mjs'
import { isQuick, median, rounds } from './measure.mjs'
import { number } from './report.mjs'

const REPEATS = rounds(3)
const DELAYS_US = isQuick ? [0] : [0, 500, 1000, 2000, 5000]
const BURST_DELAYS_US = isQuick ? [0] : [0, 1000, 5000]
const SWEEP = isQuick ? [0.8] : [0.8, 0.9, 1]
const NULL_ENGINE = { busy_us: 1000, busy_us_per_row: 100 }
const NULL_RUNS = {
  model: 'echo',
  deadlineMs: 10,
  /** Rows a second of full batches. */
  rate: 8 / 1.8e-3,
  seconds: isQuick ? 1 : 4,
  burstShares: [0.9, 1.2, 1.5, 2],
}
/** Of slo-device.mjs. */
export const DEVICE = {
  ...NULL_RUNS,
  name: 'null engine on a device, 1 ms + 0.1 ms a row',
  options: { max_batch_size: 8, parameters: { ...NULL_ENGINE, computes_on: 'device' } },
}
const ENGINES = [
  {
    ...NULL_RUNS,
    name: 'null engine, 1 ms + 0.1 ms a row',
    options: { max_batch_size: 8, parameters: NULL_ENGINE },
    burstShares: [1.2],
  },
  {
    name: 'ResNet-50',
    model: 'resnet50',
    options: { max_batch_size: 8 },
    deadlineMs: 1000,
    rate: undefined,
    seconds: isQuick ? 3 : 10,
    repeats: 1,
    /** Seconds are many for a model this slow: a smaller sweep. */
    delaysUs: [0, 50_000],
    sweep: [0.8, 1],
  },
]

export default () => measureEngines(ENGINES)

export async function measureEngines(engines) {
  const out = { lines: [], rows: [], raw: {}, notes: [] }
  for (const engine of engines) {
    if (folderOf(engine.model)) await measureEngine(engine, out)
    else out.notes.push(RESNET_NOTE)
  }
  out.notes.push(
    'Static settings: max_queue_delay_microseconds from the sweep, each with and without the deadline as a queue timeout; the best is the one with the highest goodput at any offered rate, its saturation. What the generator sends late is part of every figure; runs that did not keep their schedule are named.',
  )
  return { question: 'Does goodput collapse under overload, in bursts, with budgets that are used up already?', ...out }
}

async function measureEngine(engine, out) {
  const { name, deadlineMs } = engine
  const repeats = engine.repeats ?? REPEATS
  const found = { static: [], slo: {} }
  const full = engine.rate ?? (await closedRate(engine))
  const delaysUs = engine.delaysUs ?? DELAYS_US
  for (const delayUs of delaysUs) {
    for (const expires of [true, false]) {
      for (const share of engine.sweep ?? SWEEP) {
        const run = await once(engine, staticOptions(delayUs), { rate: share * full, told: expires })
        found.static.push({ delayUs, expires, share, ...run })
      }
    }
  }
  const best = found.static.reduce((a, b) => (b.goodput > a.goodput ? b : a))
  const settings = staticOptions(best.delayUs)
  const slo = { slo: { p99Ms: deadlineMs } }
  const line = (text, ok) =>
    out.lines.push(`${name}: ${text}${ok === undefined ? '' : ` → ${ok ? 'PASS' : 'FALLS SHORT'}`}`)
  line(
    `the best static setting: ${best.delayUs} µs of delay, ${best.expires ? 'with' : 'without'} a queue timeout: ${number(best.goodput)}/s good at ${number(best.share * full)}/s`,
  )
  const several = async (options, load) => {
    const runs = []
    for (let i = 0; i < repeats; i++) runs.push(await once(engine, options, { ...load, seed: i + 1 }))
    const each = (pick) => median(runs.map(pick))
    return {
      goodput: each((run) => run.goodput),
      p99: each((run) => run.p99),
      p50: each((run) => run.p50),
      admittedP99: each((run) => run.admittedP99),
      invalid: runs.filter((run) => run.invalid).length,
      runs,
    }
  }
  const row = (what, { p50, p99, goodput, invalid, runs }) => {
    out.rows.push({
      what: `${name}: ${what}${invalid ? ` (${invalid} of ${runs.length} invalid)` : ''}`,
      p50,
      p99,
      rate: goodput,
    })
  }
  for (const share of [1.2, 2]) {
    const rate = share * best.goodput
    const ours = await several(slo, { rate })
    const theirs = await several(settings, { rate, told: best.expires })
    const ratio = ours.goodput / best.goodput
    line(`${share * 100} % offered, slo: goodput ${ratio.toFixed(2)} of that saturation (at least 0.9)`, ratio >= 0.9)
    line(`${share * 100} % offered, static: ${(theirs.goodput / best.goodput).toFixed(2)} (collapses below 0.3)`)
    line(
      `${share * 100} % offered, slo: p99 of what was admitted ${number(ours.admittedP99 / 1000)} ms from its submit (deadline ${deadlineMs})`,
      ours.admittedP99 <= deadlineMs * 1000,
    )
    if (engine.rate) await besideSimulator(rate, ours, engine, line)
    row(`slo at ${share * 100} %`, ours)
    row(`static at ${share * 100} %`, theirs)
    found.slo[share] = { ours, theirs }
  }
  const calm = { rate: 0.7 * best.goodput }
  const sweep = []
  for (const delayUs of delaysUs)
    sweep.push({ delayUs, ...(await once(engine, staticOptions(delayUs), { ...calm, told: false })) })
  const { delayUs } = sweep.reduce((a, b) => (b.p99 < a.p99 ? b : a))
  const least = { delayUs, ...(await several(staticOptions(delayUs), { ...calm, told: false })) }
  const ours = await several(slo, calm)
  line(
    `70 %: p99 of slo / of the best static setting (${least.delayUs} µs): ${(ours.p99 / least.p99).toFixed(2)} (at most 1, within the noise of the runs)`,
    ours.p99 <= 1.1 * least.p99,
  )
  if (engine.rate) await besideSimulator(calm.rate, ours, engine, line)
  row('slo at 70 %', ours)
  row(`static, ${least.delayUs} µs, at 70 %`, least)
  const alone = { rate: engine.rate ? 1 : 0.2 }
  const [one, oneStatic] = [
    await once(engine, slo, { ...alone, seconds: 10 }),
    await once(engine, staticOptions(0), { ...alone, seconds: 10 }),
  ]
  line(
    `${alone.rate} request a second: slo ${number(one.mean / 1000)} ms, without delay ${number(oneStatic.mean / 1000)} ms on average (no added wait)`,
  )
  // Bursts: the best static setting is looked for anew at each load.
  const bursts = {}
  for (const share of engine.burstShares ?? [0.9, 1.2]) {
    const load = { rate: share * best.goodput, cv: 4 }
    const burstSlo = await several(slo, load)
    const all = []
    for (const delayUs of engine.delaysUs ?? BURST_DELAYS_US) {
      for (const told of [true, false])
        all.push({ delayUs, told, ...(await once(engine, staticOptions(delayUs), { ...load, told })) })
    }
    const right = all.reduce((a, b) => (b.goodput > a.goodput ? b : a))
    const bestBurst = await several(staticOptions(right.delayUs), { ...load, told: right.told })
    const ratio = burstSlo.goodput / bestBurst.goodput
    line(
      `bursts (gamma, cv 4) at ${share * 100} %: goodput ${ratio.toFixed(2)} times the best static setting's (at least 1.3)`,
      ratio >= 1.3,
    )
    row(`slo, bursts at ${share * 100} %`, burstSlo)
    row(`static, ${right.delayUs} µs, bursts at ${share * 100} %`, bestBurst)
    bursts[share] = { burstSlo, bestBurst, all }
  }
  // Budgets that were used up on the way, by a uniform share of up to 80 %.
  const used = { rate: 1.2 * best.goodput, burnt: 0.8 }
  const knowing = await several(slo, { ...used, told: true })
  const blind = await several(slo, { ...used, told: false })
  const known = knowing.goodput / blind.goodput
  line(
    `budgets used up by 0 to 80 %, 120 %: goodput ${known.toFixed(2)} times that of slo with the fixed target alone (at least 1.3)`,
    known >= 1.3,
  )
  row('slo, budgets known', knowing)
  row('slo, fixed target only', blind)
  found.recovery = await recovery(engine, slo, best.goodput)
  line(
    `after 200 % for ${found.recovery.overloadSeconds} s, back to 70 %: all good again ${found.recovery.seconds} s later (within 1)`,
    found.recovery.seconds <= 1,
  )
  out.raw[name] = {
    full,
    best,
    ...found,
    calm: { ours, sweep },
    one,
    oneStatic,
    bursts,
    budgets: { knowing, blind },
  }
}

const staticOptions = (delayUs) => ({ dynamic_batching: { max_queue_delay_microseconds: delayUs } })

async function withModel({ model, options }, more, work) {
  const loaded = await load(folderOf(model), { ...options, ...more, latencyCache: false })
  try {
    return await work(loaded)
  } finally {
    await loaded.close()
  }
}

/** One run: what was good, and the latencies of what was answered. `told`: requests carry the deadline. */
async function once(engine, more, { rate, cv, burnt, told, seconds = engine.seconds, seed = 1, trace }) {
  const { deadlineMs } = engine
  return withModel(engine, more, async (model) => {
    const plan = trace ? { kind: 'replay', file: trace } : cv ? { kind: 'gamma', rate, cv } : { kind: 'poisson', rate }
    const judged =
      burnt === undefined ? (told ? { deadlineMs } : {}) : { deadlineMs, deadlineBurnt: burnt, deadlineTold: told }
    const run = await profile(model, {
      load: plan,
      seconds: trace ? undefined : seconds,
      warmup: trace ? 0 : 1,
      goodWithinUs: deadlineMs * 1000,
      seed,
      timeoutMs: 30_000,
      ...judged,
    })
    const { goodput, latencyUs, serviceUs, errors, series, schedule, curve } = run
    const percentile = (percent) => curve.find(({ percentile }) => percentile >= percent)?.us ?? 0
    return {
      goodput,
      p50: percentile(50),
      p99: percentile(99),
      mean: latencyUs.mean,
      // From the actual send: what the model promised when it admitted the request.
      admittedP99: serviceUs.p99.value ?? percentile(99),
      errors,
      series: trace ? series : undefined,
      invalid: !schedule.kept,
      late: schedule.late,
    }
  })
}

/** What `subten simulate` predicts for the same load, engine and deadline. */
async function besideSimulator(rate, live, { deadlineMs }, line) {
  const args = ['--poisson', rate, '--deadline', `${deadlineMs}ms`, '--latency', '1ms+0.1ms', '--max-batch', 8]
  const flags = [...args, '--noise', 0.02, '--policy', 'slo', '--duration', '20s', '--json'].map(String)
  const { stdout } = await promisify(execFile)(process.execPath, [at('dist', 'cli.js'), 'simulate', ...flags])
  const [run] = JSON.parse(stdout).runs
  const goodput = live.goodput / (run.good / (run.spanNs / 1e9))
  const p99 = live.admittedP99 / (run.admittedP99 / 1000)
  line(
    `${number(rate)}/s, live / simulated: goodput ${goodput.toFixed(2)} (within 5 %), p99 of what was admitted ${p99.toFixed(2)} (within 15 %)`,
    Math.abs(goodput - 1) <= 0.05 && Math.abs(p99 - 1) <= 0.15,
  )
}

async function closedRate(engine) {
  return withModel(engine, staticOptions(0), async (model) => {
    const run = await profile(model, { load: { kind: 'closed', concurrency: 16 }, seconds: engine.seconds })
    return run.throughput
  })
}

/** Twice the load for a while, then 70 %: seconds until a window has nothing bad any more. */
async function recovery(engine, options, saturation) {
  const overloadSeconds = engine.rate ? 3 : 10
  const folder = mkdtempSync(join(tmpdir(), 'subten-slo-'))
  const trace = join(folder, 'trace.csv')
  try {
    const times = ['timestamp']
    let now = 0
    const until = overloadSeconds * 2
    for (let seed = 1; now < until; ) {
      seed = (seed * 48271) % 2147483647
      now += -Math.log(1 - seed / 2147483647) / (saturation * (now < overloadSeconds ? 2 : 0.7))
      times.push(now.toFixed(6))
    }
    writeFileSync(trace, `${times.join('\n')}\n`)
    const run = await once(engine, options, { trace })
    const bad = run.series.filter(
      ({ at, sent, bad: failed, p99 }) =>
        at >= overloadSeconds && (failed > 0.02 * sent || p99 > engine.deadlineMs * 1000),
    )
    const last = bad.at(-1)
    return {
      overloadSeconds,
      seconds: last ? Number((last.at + last.seconds - overloadSeconds).toFixed(2)) : 0,
      series: run.series,
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
