// What does the flight recorder cost? One model whose recorder is switched on and off every few milliseconds, so that
// code, memory and machine are the same both ways; and beside it what its watching thread uses, which stays on. Where a
// CPU cgroup can be made the process is in one that is preferred to everything else: a hundredth is less than what other
// programs take.
import { fork } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { at } from '../scripts/step.mjs'
import { cpuGroup } from '../test/flight/cpu-group.mjs'
import { inSubten } from './contenders.mjs'
import { closedRate, median, millis, paired, rounds } from './measure.mjs'
import { number, ratioLine } from './report.mjs'

const COUNT = rounds(151)
const MS = millis(40)
const BAR = { least: 0.99, even: true }
/** Of models that are opened anew, with everything that watches and without: it varies more, so rounds are longer. */
const WHOLE_COUNT = rounds(41)
const WHOLE_MS = millis(120)
const LOADS = [
  ['echo', 1],
  ['echo', 64],
  ['echo', 1024],
  ['digits', 64],
]
/** slowLimit() of a native port: as by default, and off. */
const LIMITS = { on: 0, off: -1 }

/** In a process of its own: rates and CPU times of every load, both ways. */
async function inside() {
  // The native port of a model, by which the recorder is switched.
  let port
  const addon = createRequire(import.meta.url)(at('build', 'Release', 'subten.node'))
  const { createPort } = addon
  addon.createPort = (...args) => {
    port = createPort(...args)
    return port
  }
  const found = {}
  for (const [name, callers] of LOADS) {
    const { infer, close } = await inSubten(name)
    await closedRate(infer, callers, 10 * MS) // compiled code and batches find their form
    const rate = { on: [], off: [] }
    const cpuUs = { on: [], off: [] }
    const watchedMs = watchThread()
    const begun = performance.now()
    for (let round = 0; round < COUNT; round++) {
      for (const way of round % 2 ? ['on', 'off'] : ['off', 'on']) {
        port.slowLimit(LIMITS[way])
        const before = process.cpuUsage()
        const since = performance.now()
        const each = await closedRate(infer, callers, MS)
        const { user, system } = process.cpuUsage(before)
        rate[way].push(each)
        cpuUs[way].push((user + system) / ((each * (performance.now() - since)) / 1000))
      }
    }
    const watch = (watchThread() - watchedMs) / (performance.now() - begun)
    await close()
    found[`${name}, ${callers} in flight`] = { rate, cpuUs, watch, whole: await whole(name, callers) }
  }
  process.send(found)
  process.disconnect()
}

/** Rates of models opened in turns: as by default, and with nothing recorded and nobody watching. */
async function whole(name, callers) {
  const rate = { on: [], off: [] }
  for (let round = 0; round < WHOLE_COUNT; round++) {
    for (const way of round % 2 ? ['on', 'off'] : ['off', 'on']) {
      const { infer, close } = await inSubten(name, way === 'off' ? { slowMs: Number.POSITIVE_INFINITY } : {})
      await closedRate(infer, callers, WHOLE_MS / 2)
      rate[way].push(await closedRate(infer, callers, WHOLE_MS))
      await close()
    }
  }
  return rate
}

/** Milliseconds of CPU that the watching thread has used. */
function watchThread() {
  for (const task of readdirSync('/proc/self/task')) {
    if (readFileSync(`/proc/self/task/${task}/comm`, 'utf8').trim() !== 'subten-watch') continue
    return Number(readFileSync(`/proc/self/task/${task}/schedstat`, 'utf8').split(' ')[0]) / 1e6
  }
  return Number.NaN
}

export default async function measure() {
  const group = cpuGroup()
  group?.prefer()
  const command = [process.execPath, fileURLToPath(import.meta.url), '--inside']
  const [program, ...args] = group === undefined ? command : group.enter(command)
  const child = fork(args[0], args.slice(1), { execPath: program, execArgv: [], stdio: ['ignore', 2, 2, 'ipc'] })
  let raw
  child.on('message', (message) => {
    raw = message
  })
  await new Promise((resolve) => child.on('exit', resolve))
  await new Promise((resolve) => setTimeout(resolve, 200))
  group?.remove()
  if (raw === undefined) throw new Error('the measuring process ended without a result')
  const lines = []
  const rows = []
  for (const [title, { rate, cpuUs, watch, whole }] of Object.entries(raw)) {
    lines.push(
      ratioLine({ name: `${title}: rate on / off`, ratio: paired(rate.on, rate.off), bar: BAR }),
      ratioLine({
        name: `${title}: rate with all that watches / with nothing, models opened in turns`,
        ratio: paired(whole.on, whole.off),
        bar: BAR,
      }),
      ratioLine({
        name: `${title}: CPU time a request, on / off`,
        ratio: paired(cpuUs.on, cpuUs.off),
        detail: `${number(median(cpuUs.off))} µs off`,
      }),
      `${title}: the watching thread used ${number(100 * watch)} % of a CPU`,
    )
    for (const way of Object.keys(LIMITS)) rows.push({ what: `${title}, ${way}`, rate: median(rate[way]) })
  }
  const notes = [
    'Every caller sends again when it has its answer.',
    group === undefined
      ? 'No CPU cgroup could be made.'
      : 'In a CPU cgroup that is preferred to the rest of the machine.',
  ]
  return { question: 'What does the flight recorder cost?', lines, rows, notes, raw }
}

if (process.argv[2] === '--inside') await inside()
