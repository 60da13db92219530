// Can the load generator be believed? Two runs of the same build should agree within their printed intervals, and
// requests should leave when they are due. Every run is `subten bench` in a process of its own.
import { execFile } from 'node:child_process'
import { at } from '../scripts/step.mjs'
import { isQuick, median, rounds } from './measure.mjs'

const RUNS = rounds(20)
const SECONDS = isQuick ? 1 : 3
const RATES = [200, 1000, 4000]
const PERCENTILES = ['p50', 'p90', 'p99']

export default async function measure() {
  const lines = []
  const rows = []
  const raw = {}
  const runs = []
  for (let i = 0; i < RUNS; i++) runs.push(await bench('--rate', 1000, '--seed', i + 1))
  for (const p of PERCENTILES) {
    const found = agreement(runs.map((run) => run.latencyUs[p]))
    lines.push(
      `${p}: ${found.agree} of ${found.pairs} pairs of runs agree within their intervals; the middle one is ${found.width} of the value wide`,
    )
    raw[p] = runs.map((run) => run.latencyUs[p])
  }
  raw.invalid = runs.filter((run) => !run.schedule.kept).length
  lines.push(`${raw.invalid} of ${RUNS} of these runs did not keep their schedule`)
  for (const rate of RATES) {
    const { schedule } = await bench('--rate', rate, '--seed', 1)
    const { p50, p99, count } = schedule.latenessUs
    const what = `sent after its time, ${rate}/s${schedule.kept ? '' : ' (invalid)'}`
    rows.push({ what, p50: p50.value, p99: p99.value, calls: count })
  }
  const notes = [
    `Each run measures ${SECONDS} s of Poisson arrivals to digits, with a seed of its own. Of each pair of runs, one after the other and all others, it counts whether their 95 % intervals have a value in common.`,
  ]
  return { question: 'Can the load generator be believed?', lines, rows, notes, raw }
}

function bench(...flags) {
  const args = [at('dist', 'cli.js'), 'bench', at('models', 'digits'), ...flags, '--duration', SECONDS, '--json']
  return new Promise((resolve, reject) => {
    // An invalid run ends with 1 and prints its report all the same.
    execFile(process.execPath, args.map(String), { maxBuffer: 64e6 }, (error, stdout) => {
      if (stdout) resolve(JSON.parse(stdout).runs[0])
      else reject(error)
    })
  })
}

function agreement(estimates) {
  const known = estimates.filter((estimate) => 'value' in estimate)
  let pairs = 0
  let agree = 0
  for (let i = 0; i < known.length; i++) {
    for (let j = i + 1; j < known.length; j++) {
      pairs++
      if (known[i].low <= known[j].high && known[j].low <= known[i].high) agree++
    }
  }
  const width = known.length ? median(known.map(({ value, low, high }) => (high - low) / value)).toFixed(2) : '–'
  return { pairs, agree, width }
}
