// What does batching buy? The same model with and without dynamic batching, 64 in flight and under Poisson arrivals.
import { openLoop } from './arrivals.mjs'
import { inSubten } from './contenders.mjs'
import { compareClosed, interleave, millis, paired, quantiles, rounds } from './measure.mjs'
import { buildPrograms } from './programs.mjs'
import { number, ratioLine } from './report.mjs'

const COUNT = rounds(9)
const MS = millis(400)
const OPEN_MS = millis(800)

export default async function measure() {
  await buildPrograms()
  const lines = []
  const rows = []
  const raw = {}
  for (const name of ['mlp', 'digits']) {
    const on = await inSubten(name)
    // null takes the setting out of the configuration: every request is then a run of its own.
    const off = await inSubten(name, { dynamic_batching: null })
    await checkAlone(off)
    const calls = { on: on.infer, off: off.infer }
    for (const callers of [1, 64]) {
      const what = `${name}, ${callers} in flight`
      const found = await compareClosed(calls, { callers, count: COUNT, ms: MS })
      raw[what] = found
      lines.push(
        ratioLine({ name: `${what}: rate with batching / without`, ratio: paired(found.on.rates, found.off.rates) }),
      )
      lines.push(
        ratioLine({ name: `${what}: p99 with batching / without`, ratio: paired(found.on.p99s, found.off.p99s) }),
      )
      if (callers === 1) {
        lines.push(
          ratioLine({
            name: `${what}: p50 with batching / without`,
            ratio: paired(found.on.p50s, found.off.p50s),
            bar: { most: 1, even: true },
          }),
        )
      }
      for (const way of ['on', 'off']) rows.push({ what: `${what}, batching ${way}`, ...found[way] })
    }
    const saturation = raw[`${name}, 64 in flight`].off.rate
    for (const part of [0.5, 0.8]) await arrivals(name, calls, part, saturation * part, { lines, rows, raw })
    await on.close()
    await off.close()
  }
  const notes = [
    'Arrivals are a Poisson process from another process, the same times for both; latency counts from the intended time. Saturation is the rate without batching with 64 in flight, measured just before.',
  ]
  return { question: 'What does dynamic batching buy?', lines, rows, notes, raw }
}

async function arrivals(name, calls, part, rate, { lines, rows, raw }) {
  const what = `${name}, Poisson at ${number(part * 100)}% of the unbatched saturation`.replace('.0%', '%')
  const found = await interleave(calls, COUNT, (call, round) =>
    openLoop(call, { perSecond: rate, ms: OPEN_MS, seed: 1000 + Math.max(0, round) }),
  )
  const times = Object.fromEntries(
    Object.entries(found).map(([way, each]) => [way, quantiles(each.map((e) => e.histogram))]),
  )
  raw[what] = { intendedRate: rate, ...times }
  for (const key of ['p50s', 'p99s']) {
    const label = `${what}: ${key.slice(0, 3)} with batching / without`
    const bar = key === 'p99s' && part === 0.8 ? { most: 1 } : undefined
    lines.push(ratioLine({ name: label, ratio: paired(times.on[key], times.off[key]), bar }))
  }
  for (const way of ['on', 'off']) {
    const sent = found[way].reduce((total, each) => total + each.sent, 0)
    const seconds = found[way].reduce((total, each) => total + each.seconds, 0)
    const refused = found[way].reduce((total, each) => total + each.refused, 0)
    const label = `${what}, batching ${way}${refused ? ` (${refused} refused: the queue was full)` : ''}`
    rows.push({ what: label, ...times[way], rate: sent / seconds })
  }
}

/** Throws when the model that should not batch does. */
async function checkAlone({ model, data }) {
  const [input] = model.inputs
  const all = await Promise.all(data.map((row) => model.infer({ [input.name]: row }, { trace: true })))
  const largest = Math.max(...all.map((outputs) => outputs.timing.batchSize))
  if (largest !== 1) throw new Error(`without dynamic_batching a batch had ${largest} rows`)
}
