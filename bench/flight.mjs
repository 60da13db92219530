// What does the flight recorder cost? The same model with it (as by default) and without (`slowMs: Infinity`), opened and
// closed in turn within one process, so that in the rounds without it nothing is watched either.
import { inSubten } from './contenders.mjs'
import { closedRate, interleave, median, millis, paired, rounds } from './measure.mjs'
import { number, ratioLine } from './report.mjs'

const COUNT = rounds(41)
const MS = millis(500)
const BAR = { least: 0.99, even: true }
const WAYS = { with: {}, without: { slowMs: Number.POSITIVE_INFINITY } }
const LOADS = [
  ['echo', 1],
  ['echo', 64],
  ['echo', 1024],
  ['digits', 64],
]

export default async function measure() {
  const lines = []
  const rows = []
  const raw = {}
  for (const [name, callers] of LOADS) {
    const title = `${name}, ${callers} in flight`
    const found = await interleave(WAYS, COUNT, async (options) => {
      const { infer, close } = await inSubten(name, options)
      await closedRate(infer, callers, MS / 5) // compiled code and batches find their form
      const cpu = process.cpuUsage()
      const rate = await closedRate(infer, callers, MS)
      const { user, system } = process.cpuUsage(cpu)
      await close()
      return { rate, cpuUs: (user + system) / ((rate * MS) / 1000) }
    })
    const of = (way, key) => found[way].map((each) => each[key])
    raw[title] = found
    lines.push(
      ratioLine({
        name: `${title}: rate with / without`,
        ratio: paired(of('with', 'rate'), of('without', 'rate')),
        bar: BAR,
      }),
      ratioLine({
        name: `${title}: CPU a request, with / without`,
        ratio: paired(of('with', 'cpuUs'), of('without', 'cpuUs')),
      }),
    )
    for (const way of Object.keys(WAYS)) rows.push({ what: `${title}, ${way}`, rate: median(of(way, 'rate')) })
    lines.push(`${title}: ${number(median(of('without', 'cpuUs')))} µs of CPU a request without`)
  }
  const notes = ['Every caller sends again when it has its answer. Each round opens and closes its model.']
  return { question: 'What does the flight recorder cost?', lines, rows, notes, raw }
}
