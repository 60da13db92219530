// What does a hand-off cost? One request at a time on the null engine in every wake mode, beside a C++ program that
// makes the same hops (bench/native/floor.cc), twenty lines of napi_async_work and a pool of worker threads, under the
// same pinning, in turn.
import { execFileSync, spawn } from 'node:child_process'
import os from 'node:os'
import { fileURLToPath } from 'node:url'
import { interleave, median, millis, paired, rounds } from './measure.mjs'
import { buildPrograms, pinned, runProgram } from './programs.mjs'
import { figureLine, micros, ratioLine } from './report.mjs'

const COUNT = rounds(15)
const MS = millis(400)
const MODES = ['powersave', 'auto', 'latency']
/** Other ways to run something outside the event loop. */
const OTHERS = ['napi_async_work', 'piscina']

/** In a process of its own, pinned: one model a mode, and rounds as they are asked for. */
async function serve() {
  const { echoInAsyncWork, echoInPiscina, inSubten } = await import('./contenders.mjs')
  const { closedLatency, quantiles, syncLatency } = await import('./measure.mjs')
  const ways = {}
  for (const wake of MODES) {
    const { infer, inferSync } = await inSubten('echo', { wake })
    ways[wake] = infer
    ways.sync = inferSync
  }
  ways.napi_async_work = echoInAsyncWork().run
  ways.piscina = (await echoInPiscina()).run
  process.on('message', async ({ mode, ms }) => {
    const before = process.cpuUsage()
    const histogram = mode === 'sync' ? syncLatency(ways.sync, ms) : await closedLatency(ways[mode], 1, ms)
    const { user, system } = process.cpuUsage(before)
    const { p50, p99, calls } = quantiles([histogram])
    process.send({ p50, p99, calls, mean: histogram.mean / 1000, cpu: (user + system) / calls })
  })
  process.send('ready')
}

export default async function measure() {
  await buildPrograms()
  const lines = []
  const rows = []
  const raw = {}
  for (const cpus of pinnings()) {
    const what = cpus === undefined ? 'not pinned' : cpus.length === 1 ? 'one CPU' : `${cpus.length} CPUs`
    const found = await underPinning(cpus)
    raw[what] = found
    report(what, found, lines, rows)
  }
  const notes = [
    'p50 and p99 are the medians of the rounds. The floor writes and copies the same 64 floats; parked, it sleeps in a futex and in epoll at every hop; apart, each of its two threads stays on a CPU of its own, while otherwise the system places them as it places subten’s. `sync` is `inferSync`: no thread changes hands. Each mode rests while the others have their turn, so a round begins after a pause of a second or two.',
  ]
  return { question: 'What does a hand-off cost?', lines, rows, notes, raw }
}

function pinnings() {
  try {
    execFileSync('taskset', ['-c', '0', 'true'], { stdio: 'ignore' })
  } catch {
    return [undefined]
  }
  return os.availableParallelism() > 1 ? [[0], [0, 1]] : [[0]]
}

async function underPinning(cpus) {
  const [command, ...args] = pinned(cpus, process.execPath, [fileURLToPath(import.meta.url), '--serve'])
  const child = spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  const answer = () =>
    new Promise((resolve, reject) => {
      const ended = (code) => reject(new Error(`the measuring process ended with exit code ${code}`))
      child.once('exit', ended)
      child.once('message', (message) => {
        child.off('exit', ended)
        resolve(message)
      })
    })
  const floor = async (...args) => {
    const out = await runProgram('floor', args, cpus)
    return { p50: out.p50_ns / 1000, p99: out.p99_ns / 1000, calls: out.n }
  }
  const asked = (mode) => () => {
    const answered = answer()
    child.send({ mode, ms: MS })
    return answered
  }
  const contenders = {
    'floor parked': () => floor('parked', MS * 20),
    ...Object.fromEntries([...MODES, 'sync', ...OTHERS].map((mode) => [mode, asked(mode)])),
  }
  if (cpus?.length !== 1 && os.availableParallelism() > 1) {
    contenders['floor parked apart'] = () => floor('parked', MS * 10, 'apart')
    contenders['floor spin apart'] = () => floor('spin', MS * 500, 'apart')
  }
  try {
    await answer()
    return await interleave(contenders, COUNT, (run) => run())
  } finally {
    const ended = new Promise((resolve) => child.once('exit', resolve))
    child.kill()
    await ended // its CPU time is ours only once it was waited for
  }
}

function report(what, found, lines, rows) {
  const of = (name, key) => found[name].map((each) => each[key])
  const mid = (name, key) => median(of(name, key))
  const parked = mid('floor parked', 'p50')
  const wide = found['floor parked apart'] !== undefined
  for (const mode of MODES) {
    lines.push(
      ratioLine({
        name: `${what}: p50 of ${mode} / of the parked floor`,
        ratio: paired(of(mode, 'p50'), of('floor parked', 'p50')),
      }),
    )
  }
  const bars = { powersave: 1.25 * parked + 3 }
  const apart = wide ? mid('floor parked apart', 'p50') : undefined
  if (wide) Object.assign(bars, { auto: Math.max(apart / 5, 3.5), latency: 3 })
  for (const [mode, most] of Object.entries(bars)) {
    const each = of(mode, 'p50')
    const detail = `rounds ${micros(Math.min(...each))} to ${micros(Math.max(...each))}, parked floor ${micros(parked)}${wide ? `, apart ${micros(apart)}` : ''}`
    lines.push(figureLine({ name: `${what}: p50 of ${mode}`, us: mid(mode, 'p50'), bar: { most }, detail }))
  }
  lines.push(figureLine({ name: `${what}: p50 of inferSync`, us: mid('sync', 'p50'), bar: { most: 1 } }))
  for (const other of OTHERS) {
    lines.push(
      ratioLine({
        name: `${what}: p50 of powersave / of ${other}`,
        ratio: paired(of('powersave', 'p50'), of(other, 'p50')),
      }),
    )
  }
  for (const name of Object.keys(found)) {
    const calls = of(name, 'calls').reduce((a, b) => a + b, 0)
    const mean = found[name][0].mean === undefined ? undefined : mid(name, 'mean')
    rows.push({
      what: `${what}, ${name}`,
      p50: mid(name, 'p50'),
      p99: mid(name, 'p99'),
      rate: mean && 1e6 / mean,
      calls,
    })
  }
}

if (process.argv[2] === '--serve') await serve()
