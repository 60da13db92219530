// Can the load generator be believed? Two runs of the same build should agree within their printed intervals, and
// requests should leave when they are due. Every run is `subten bench` in a process of its own; then the same is asked
// of `--processes`, whose intervals are over processes.
import { execFile } from 'node:child_process'
import { at } from '../scripts/step.mjs'
import { isQuick, median, rounds } from './measure.mjs'

const RUNS = rounds(20)
const SECONDS = isQuick ? 1 : 3
/** Runs that take turns, process by process, and how often. */
const IN_TURNS = isQuick ? 2 : 4
const TURNS = isQuick ? 1 : 2
/** From one process of a run to its next, during which each of the others has its turn. */
const EVERY_SECONDS = 6 * IN_TURNS
const PROCESSES = isQuick ? 2 : 8
/** 1,250 requests: p99 takes 1,000. Shorter than one run alone, since more of them tell more than longer ones. */
const PROCESS_SECONDS = 2.5
const RATE = 500
/**
 * Percent. On two virtual processors some 0.5 % of all wakes are more than 1 ms late, whoever sleeps, so that a short run at
 * the usual bound of 1 % is often invalid; lateness is part of each latency all the same.
 */
const LATE_ALLOWED = 5
const RATES = [200, 1000, 4000]
const PERCENTILES = ['p50', 'p90', 'p99']

export default async function measure() {
  const rows = []
  const runs = []
  for (let i = 0; i < RUNS; i++) {
    const { runs: one } = await bench(...asked(i + 1, SECONDS))
    runs.push(one[0])
  }
  for (const rate of RATES) {
    const [{ schedule }] = (await bench('--rate', rate, '--seed', 1, '--duration', SECONDS)).runs
    const { p50, p99, count } = schedule.latenessUs
    const what = `sent after its time, ${rate}/s${schedule.kept ? '' : ' (invalid)'}`
    rows.push({ what, p50: p50.value, p99: p99.value, calls: count })
  }
  const repeated = []
  for (let turn = 0; turn < TURNS; turn++) {
    const apart = (i) => new Promise((resolve) => setTimeout(resolve, (i * 1000 * EVERY_SECONDS) / IN_TURNS))
    const together = Array.from({ length: IN_TURNS }, async (_, i) => {
      await apart(i)
      const seed = turn * IN_TURNS + i + 1
      const flags = ['--processes', PROCESSES, '--every', `${EVERY_SECONDS}s`]
      return { turn, ...(await bench(...asked(seed, PROCESS_SECONDS), ...flags)).repeated }
    })
    repeated.push(...(await Promise.all(together)))
  }
  const lines = []
  const raw = { one: {}, several: {} }
  const valid = { one: runs.filter((run) => run.schedule.kept), several: repeated.filter((each) => each.valid) }
  for (const p of PERCENTILES) {
    raw.one[p] = valid.one.map((run) => run.latencyUs[p])
    raw.several[p] = valid.several.flatMap(({ turn, figures }) => {
      const figure = figures.find(({ what }) => what.startsWith(`${p},`))
      return figure ? [{ turn, ...figure }] : []
    })
  }
  raw.repeated = repeated // with those that are invalid, for whoever asks why
  const sameTurn = (a, b) => a.turn === b.turn
  const kinds = [
    ['runs of one process, one after the other', raw.one, () => true],
    [`runs of ${PROCESSES} processes that take turns`, raw.several, sameTurn],
    [`runs of ${PROCESSES} processes minutes apart`, raw.several, (a, b) => !sameTurn(a, b)],
  ]
  for (const [name, estimates, counts] of kinds) {
    for (const p of PERCENTILES) lines.push(`${p}, ${name}: ${agreement(estimates[p], counts)}`)
  }
  lines.push(
    `${RUNS - valid.one.length} of ${RUNS} runs of one process did not keep their schedule, and ${sum(repeated, 'invalid')} of ${sum(repeated, 'processes')} processes of the others, of which ${repeated.length - valid.several.length} of ${repeated.length} were invalid for it; such are left out`,
  )
  const notes = [
    `Each process measures ${SECONDS} s (of several: ${PROCESS_SECONDS} s) of Poisson arrivals to digits, with a seed of its own. Of each pair of runs it counts whether their 95 % intervals have a value in common. The runs of several processes are \`subten bench --processes ${PROCESSES} --every ${EVERY_SECONDS}s\`, ${IN_TURNS} at once that take turns process by process, ${TURNS} times.`,
  ]
  return { question: 'Can the load generator be believed?', lines, rows, notes, raw }
}

/** Of the runs that are to agree. */
const asked = (seed, seconds) => ['--rate', RATE, '--late-allowed', LATE_ALLOWED, '--seed', seed, '--duration', seconds]

/** The report of one call. */
function bench(...flags) {
  const args = [at('dist', 'cli.js'), 'bench', at('models', 'digits'), ...flags, '--json']
  return new Promise((resolve, reject) => {
    // An invalid run ends with 1 and prints its report all the same.
    execFile(process.execPath, args.map(String), { maxBuffer: 64e6 }, (error, stdout) => {
      if (stdout) resolve(JSON.parse(stdout))
      else reject(error)
    })
  })
}

function agreement(estimates, counts) {
  const known = estimates.filter((estimate) => 'value' in estimate)
  let pairs = 0
  let agree = 0
  for (let i = 0; i < known.length; i++) {
    for (let j = i + 1; j < known.length; j++) {
      if (!counts(known[i], known[j])) continue
      pairs++
      if (known[i].low <= known[j].high && known[j].low <= known[i].high) agree++
    }
  }
  if (pairs === 0) return 'no pair to compare'
  const width = median(known.map(({ value, low, high }) => (high - low) / value)).toFixed(2)
  return `${agree} of ${pairs} pairs agree within their intervals (${((100 * agree) / pairs).toFixed(0)} %); the middle one is ${width} of the value wide`
}

const sum = (list, field) => list.reduce((total, each) => total + each[field], 0)
