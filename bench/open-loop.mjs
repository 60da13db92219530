// What do requests cost that come when they like? Poisson arrivals from another process to the null engine: `auto` beside
// `powersave`, which always parks; and the tail at half of what the engine can do, beside a C++ program's.
import { performance } from 'node:perf_hooks'
import { openFloor, openLoop } from './arrivals.mjs'
import { inSubten } from './contenders.mjs'
import { closedLatency, interleave, median, millis, paired, quantiles, rounds } from './measure.mjs'
import { buildPrograms } from './programs.mjs'
import { figureLine, micros, number, ratioLine } from './report.mjs'

const COUNT = rounds(9)
const MS = millis(2000)
const RATES = [2000, 10000]
const TAIL_COUNT = rounds(9)
const TAIL_MS = millis(1500)
/** The null engine as it is, and with work: microseconds a row. */
const RUNS = [0, 20]

export default async function measure() {
  await buildPrograms()
  const out = { lines: [], rows: [], raw: {} }
  await againstParked(out)
  for (const busyUs of RUNS) await tail(busyUs, out)
  const notes = [
    'Arrivals come through a socket from another process, which sleeps between them; latency counts from the intended time, so it holds the wake of the event loop and the reading of the socket as well. CPU time is that of the whole process, all threads. `answered at once` is the same program without a model: what arriving costs by itself.',
    'Half of saturation: half the rate of a closed loop of 64 whose every call is timed, as the arrivals are. The C++ program gets the same arrivals in the same way, hands at most 64 at a time to its worker, and sleeps wherever it has nothing to do.',
  ]
  return { question: 'What do requests cost that come when they like?', notes, ...out }
}

async function againstParked({ lines, rows, raw }) {
  const models = {}
  for (const wake of ['auto', 'powersave', 'latency']) models[wake] = await inSubten('echo', { wake })
  const calls = Object.fromEntries(Object.entries(models).map(([wake, { infer }]) => [wake, infer]))
  calls['answered at once'] = async () => {}
  for (const perSecond of RATES) {
    const found = await interleave(calls, COUNT, (call, round) =>
      openLoop(call, { perSecond, ms: MS, seed: 100 + Math.max(0, round) }),
    )
    const what = `Poisson ${number(perSecond / 1000)}k/s`.replace(/\.0+k/, 'k')
    const times = Object.fromEntries(
      Object.entries(found).map(([name, each]) => [
        name,
        { ...quantiles(each.map((e) => e.histogram)), cpus: each.map((e) => e.cpu) },
      ]),
    )
    raw[what] = times
    const pair = (label, key, bar) =>
      lines.push(
        ratioLine({
          name: `${what}: ${label} of auto / of powersave`,
          ratio: paired(times.auto[key], times.powersave[key]),
          bar,
        }),
      )
    pair('p50', 'p50s', { most: 1.1 })
    pair('CPU time', 'cpus', { most: 1.1 })
    pair('p99', 'p99s', { most: 1.3 })
    const net = (name) => times[name].cpus.map((cpu, i) => cpu - times['answered at once'].cpus[i])
    lines.push(
      ratioLine({
        name: `${what}: CPU time of auto / of powersave, each without that of arriving`,
        ratio: paired(net('auto'), net('powersave')),
      }),
    )
    for (const [name, each] of Object.entries(times)) {
      const sent = found[name].reduce((total, e) => total + e.sent, 0)
      const seconds = found[name].reduce((total, e) => total + e.seconds, 0)
      const refused = found[name].reduce((total, e) => total + e.refused, 0)
      const label = `${what}, ${name}: ${micros(median(each.cpus))} of CPU each${refused ? `, ${refused} refused` : ''}`
      rows.push({ what: label, ...each, rate: sent / seconds })
    }
  }
  for (const { close } of Object.values(models)) await close()
}

/** Closed loops of 64 that take the same times as the arrivals will. */
async function saturationRates(infer) {
  const rates = []
  for (let i = -1; i < 3; i++) {
    const start = performance.now()
    const { count } = await closedLatency(infer, 64, millis(500))
    if (i >= 0) rates.push((count / (performance.now() - start)) * 1000)
  }
  return rates
}

/** p999 at half of saturation: at most 1.5 times the floor's at the same rate, and one run. */
async function tail(busyUs, { lines, rows, raw }) {
  const { infer, model, close } = await inSubten('echo', { parameters: { busy_us_per_row: busyUs } })
  const saturation = median(await saturationRates(infer))
  const perSecond = Math.round(saturation / 2)
  model.resetStats()
  const found = await interleave({ subten: openLoop, floor: openFloor }, TAIL_COUNT, (run, round) => {
    const load = { perSecond, ms: TAIL_MS, seed: 200 + Math.max(0, round) }
    return run === openFloor ? openFloor({ ...load, busyNs: busyUs * 1000 }) : openLoop(infer, load)
  })
  const oneRun = model.stats().stages.compute.p50
  await close()
  const subten = quantiles(found.subten.map((each) => each.histogram))
  // A refused request has no latency; too many of them are the slowest thousandth.
  const p999s = found.subten.map((each) =>
    each.refused > each.sent / 1000 ? Number.POSITIVE_INFINITY : each.histogram.percentile(99.9) / 1000,
  )
  const floor999s = found.floor.map((each) => each.p999)
  const refused = found.subten.reduce((total, each) => total + each.refused, 0)
  const what = `${busyUs ? `${busyUs} µs a row` : 'null engine'} at ${number(perSecond / 1000)}k/s, half of saturation`
  lines.push(
    figureLine({
      name: `${what}: p999`,
      us: median(p999s),
      bar: { most: 1.5 * median(floor999s) + oneRun },
      detail: `rounds ${micros(Math.min(...p999s))} to ${micros(Math.max(...p999s))}, the floor's ${micros(median(floor999s))} (${micros(Math.min(...floor999s))} to ${micros(Math.max(...floor999s))}), one run ${micros(oneRun)}${refused ? `; ${refused} refused` : ''}`,
    }),
  )
  rows.push(
    { what: `${what}, subten`, ...subten, rate: perSecond },
    {
      what: `${what}, floor`,
      p50: median(found.floor.map((each) => each.p50)),
      p99: median(found.floor.map((each) => each.p99)),
      calls: found.floor.reduce((total, each) => total + each.calls, 0),
      rate: perSecond,
    },
  )
  raw[what] = { subten: { ...subten, p999s }, floor: found.floor, oneRun, saturation, refused }
}
