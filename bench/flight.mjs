// What does the flight recorder cost? One model whose recorder is switched on and off every few milliseconds while its
// callers go on, so that code, memory and machine are the same both ways; and beside it what its watching thread uses,
// which stays on. Where a CPU cgroup can be made the process is in one that is preferred to everything else: a hundredth
// is less than what other programs take.
import { spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { fromSources } from '../scripts/sources.mjs'
import { at } from '../scripts/step.mjs'
import { cpuGroup } from '../test/flight/cpu-group.mjs'
import { inSubten } from './contenders.mjs'
import { closedRate, isQuick, median, millis, mulberry32 } from './measure.mjs'
import { intervalLine, number } from './report.mjs'

const BAR = { least: 0.99 }
/**
 * Milliseconds of one way, and pairs of both. As short as can be: what the machine does lasts longer, and meets both
 * halves of a pair. But one of digits must hold several batches of 64, which end at once.
 */
const LOADS = [
  { model: 'echo', callers: 1, ms: 4, pairs: 4000 },
  { model: 'echo', callers: 64, ms: 4, pairs: 4000 },
  { model: 'echo', callers: 1024, ms: 4, pairs: 3500 },
  { model: 'digits', callers: 64, ms: 12, pairs: 1400 },
]
/** Of models that are opened anew, with everything that watches and without: each comes up a little different. */
const WHOLE = { pairs: isQuick ? 8 : 101, ms: millis(40) }
/** CPU time of threads that run is known at the ticks of the kernel, every 4 ms: it takes longer ones. */
const CPU = { pairs: 50, ms: 40 }
const QUICK_PAIRS = 50
/** slowLimit() of a native port: as by default, and off. */
const LIMITS = { on: 0, off: -1 }
/** Completions between two looks at the clock. */
const EVERY = 8

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
  for (const { model, callers, ms, pairs } of LOADS) {
    const { infer, close } = await inSubten(model)
    await closedRate(infer, callers, 400) // compiled code and batches find their form
    const watchedMs = watchThread()
    const begun = performance.now()
    const count = isQuick ? QUICK_PAIRS : pairs
    const switchTo = (way) => port.slowLimit(LIMITS[way])
    const { rate } = await switched(infer, callers, ms, count, switchTo)
    const { cpuUs } = await switched(infer, callers, CPU.ms, isQuick ? CPU.pairs / 5 : CPU.pairs, switchTo)
    const watch = (watchThread() - watchedMs) / (performance.now() - begun)
    await close()
    found[`${model}, ${callers} in flight`] = { rate, cpuUs, watch, whole: await whole(model, callers) }
  }
  writeFileSync(process.argv[3], JSON.stringify(found))
}

/** `on` and `off`, in the order that a coin says: where they are alike, that makes each ratio a fair coin too. */
function inRandomOrder(random) {
  return random() < 0.5 ? ['on', 'off'] : ['off', 'on']
}

/**
 * Rates and CPU times a request of callers that never pause, by way. After each switch as many answers as there are
 * callers are not counted: they were sent the other way.
 */
async function switched(infer, callers, ms, pairs, switchTo) {
  const random = mulberry32(callers)
  const rate = { on: [], off: [] }
  const cpuUs = { on: [], off: [] }
  let ways = []
  let way
  let ended = 0
  let countFrom = 0
  let counted // since when, from which answer, with how much CPU time used; undefined until the old answers are through
  let over = false
  next()
  const caller = async () => {
    while (!over) {
      await infer()
      if (++ended % EVERY === 0) look()
    }
  }
  await Promise.all(Array.from({ length: callers }, caller))
  return { rate, cpuUs }

  function next() {
    if (ways.length === 0) {
      over = rate.off.length === pairs && rate.on.length === pairs
      ways = inRandomOrder(random)
    }
    way = ways.shift()
    switchTo(way)
    countFrom = ended + callers
    counted = undefined
  }

  function look() {
    if (over || ended < countFrom) return
    const now = performance.now()
    if (counted === undefined) {
      counted = { at: now, ended, cpu: process.cpuUsage() }
    } else if (now - counted.at >= ms) {
      const answers = ended - counted.ended
      const { user, system } = process.cpuUsage(counted.cpu)
      rate[way].push((1000 * answers) / (now - counted.at))
      cpuUs[way].push((user + system) / answers)
      next()
    }
  }
}

/** Rates of models opened in turns: as by default, and with nothing recorded and nobody watching. */
async function whole(name, callers) {
  const random = mulberry32(callers)
  const rate = { on: [], off: [] }
  for (let pair = 0; pair < WHOLE.pairs; pair++) {
    for (const way of inRandomOrder(random)) {
      const { infer, close } = await inSubten(name, way === 'off' ? { slowMs: Number.POSITIVE_INFINITY } : {})
      await closedRate(infer, callers, WHOLE.ms / 2)
      rate[way].push(await closedRate(infer, callers, WHOLE.ms))
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

async function measured() {
  const group = cpuGroup()
  group?.prefer()
  const folder = mkdtempSync(join(tmpdir(), 'subten-flight-'))
  try {
    // By a file: tens of thousands of figures are more than a message should hold.
    const file = join(folder, 'found.json')
    const command = [process.execPath, fileURLToPath(import.meta.url), '--inside', file]
    const [program, ...args] = group === undefined ? command : group.enter(command)
    const child = spawn(program, args, { stdio: ['ignore', 2, 2] })
    const code = await new Promise((resolve, reject) => child.on('error', reject).on('exit', resolve))
    if (code !== 0) throw new Error(`the measuring process ended with ${code}`)
    return { found: JSON.parse(readFileSync(file, 'utf8')), preferred: group !== undefined }
  } finally {
    rmSync(folder, { recursive: true, force: true })
    await new Promise((resolve) => setTimeout(resolve, 200)) // a cgroup is empty a moment after its last process
    group?.remove()
  }
}

export default async function measure() {
  const { pairedRatio } = await fromSources('src/profile/paired-ratio.ts')
  const { found, preferred } = await measured()
  const lines = []
  const rows = []
  const raw = {}
  for (const [title, { rate, cpuUs, watch, whole }] of Object.entries(found)) {
    const ratio = ({ on, off }) => pairedRatio(off, on, 0.95)
    const cpu = ratio(cpuUs)
    lines.push(
      intervalLine({ name: `${title}: rate on / off`, ratio: ratio(rate), bar: BAR }),
      intervalLine({
        name: `${title}: rate with all that watches / with nothing, models opened in turns`,
        ratio: ratio(whole),
        bar: BAR,
      }),
      intervalLine({
        name: `${title}: CPU time a request, on / off`,
        ratio: cpu,
        detail: `${number(median(cpuUs.off))} µs off`,
      }),
      `${title}: the watching thread used ${number(100 * watch)} % of a CPU`,
    )
    for (const way of Object.keys(LIMITS)) rows.push({ what: `${title}, ${way}`, rate: median(rate[way]) })
    // Of the rates only what the figures are made of: all of them would be a megabyte.
    raw[title] = { rateOnOverOff: ratios(rate), cpu, watch, whole }
  }
  const pairs = LOADS.map(({ model, callers, ms, pairs }) => `${model} ${callers}: ${pairs} pairs of ${ms} ms`)
  const notes = [
    `Every caller sends again when it has its answer. The recorder is switched under way (${pairs.join(', ')}); for CPU time ${CPU.pairs} pairs of ${CPU.ms} ms; models are opened ${WHOLE.pairs} times each way, for ${WHOLE.ms} ms. A coin says which half of a pair comes first. Ratios are Hodges-Lehmann estimates with 95 % intervals of signed ranks (src/profile/paired-ratio.ts). PASS takes an interval that lies above 0.99, FALLS SHORT one that lies below.`,
    preferred ? 'In a CPU cgroup that is preferred to the rest of the machine.' : 'No CPU cgroup could be made.',
  ]
  return { question: 'What does the flight recorder cost?', lines, rows, notes, raw }
}

const ratios = ({ on, off }) => on.map((rate, pair) => rate / off[pair])

if (process.argv[2] === '--inside') await inside()
