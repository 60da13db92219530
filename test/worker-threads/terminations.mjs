// Terminates workers at random moments while they, the main thread and a surviving worker use the same models, and
// looks at what is left:
//   node --expose-gc test/worker-threads/terminations.mjs [--count 1000] [--victims 4] [--seed N] [--verbose]
// Prints one line of JSON; the exit code is 0 when nothing was wrong. `npm run test:node-matrix` runs it on each Node.
import { readdirSync, readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { Worker } from 'node:worker_threads'
import { attach, load } from '../../dist/index.js'
import { closedLoop, inputsOf, random } from './load.cjs'

const { values: options } = parseArgs({
  options: {
    count: { type: 'string', default: '1000' },
    victims: { type: 'string', default: '4' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 32) },
    verbose: { type: 'boolean', default: false },
  },
})
const count = Number(options.count)
const seed = Number(options.seed)
const rounds = 10
const next = random(seed)
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
const problems = []

/** Waits until `done()`, at most 30 s: what ends by itself may take its time on a busy machine. */
async function until(done) {
  for (const end = Date.now() + 30_000; !done() && Date.now() < end; ) await sleep(10)
  return done()
}

// --- the models: our own engine in both ways of completing, and ONNX Runtime -------------------------------------------

const shared = { maxQueueSize: 256, whenFull: 'wait', memoryMb: 16 }
const models = await Promise.all([
  load('models/echo', { ...shared, parameters: { busy_us: 100 } }),
  load('models/echo', { ...shared, parameters: { busy_us: 100, completion: 'async' } }),
  load('models/digits', shared),
])
const tokens = models.map((model) => model.share())

/**
 * How many slots can be claimed through as many handles as it takes: fewer than before means that some were lost.
 * Whoever finds none asks the other handles for theirs, which takes them a turn: it tries again.
 */
async function slots(model) {
  const handles = []
  const claimed = []
  for (let inVain = 0; inVain < 5; ) {
    const handle = attach(model.share())
    handles.push(handle)
    const before = claimed.length
    for (let slot = handle.tryClaim(); slot; slot = handle.tryClaim()) claimed.push(slot)
    inVain = claimed.length === before ? inVain + 1 : 0
    if (inVain > 0) await sleep(5)
  }
  await Promise.all(handles.map((handle) => handle.close()))
  return claimed.length
}

/** What the models hold when nothing is under way. */
async function held() {
  const idle = await until(() => models.every((model) => model.stats().requests.inFlight === 0))
  if (!idle) problems.push(`in flight at rest: ${models.map((model) => model.stats().requests.inFlight)}`)
  const free = []
  for (const model of models) free.push(await slots(model))
  return { slots: free, memory: models.map((model) => model.stats().memory.used) }
}

// --- the process -------------------------------------------------------------------------------------------------------

const entries = (directory) => readdirSync(`/proc/self/${directory}`).length
const mappings = () => readFileSync('/proc/self/maps', 'utf8').split('\n').length - 1

async function collect() {
  for (let i = 0; i < 4; i++) {
    globalThis.gc()
    await sleep(5)
  }
}

async function footprint(threads) {
  await collect()
  // Threads of models that ended workers had loaded end by themselves.
  if (threads && !(await until(() => entries('task') <= threads))) {
    problems.push(`${entries('task')} threads where there were ${threads}`)
  }
  const rssMb = Math.round(process.memoryUsage().rss / 2 ** 20)
  return { rssMb, threads: entries('task'), fds: entries('fd'), mappings: mappings() }
}

// --- the load ----------------------------------------------------------------------------------------------------------

const counts = { terminated: 0, beforeUp: 0, endedThemselves: 0, slowestMs: 0 }

/** One worker from its start to its end. Killed at any moment: while it starts, loads, attaches, submits, drains. */
async function victim() {
  const endsItself = next() < 0.1
  const url = new URL('./victim.cjs', import.meta.url)
  const worker = new Worker(url, { workerData: { tokens, seed: Math.floor(next() * 2 ** 32), endsItself } })
  worker.on('error', (error) => problems.push(`a victim failed: ${error.stack}`))
  let isUp = false
  const up = new Promise((resolve) => {
    worker.once('exit', resolve)
    worker.once('message', () => {
      isUp = true
      resolve()
    })
  })
  if (endsItself) {
    const ended = new Promise((resolve) => worker.once('exit', resolve))
    if ((await ended) !== 0) problems.push('a victim that ended itself has another exit code')
    counts.endedThemselves++
    return
  }
  if (next() < 0.3) {
    await Promise.race([up, sleep(next() * 80)])
  } else {
    await up
    await sleep(next() * 20)
  }
  counts.terminated++
  if (!isUp) counts.beforeUp++
  const since = Date.now()
  await worker.terminate()
  counts.slowestMs = Math.max(counts.slowestMs, Date.now() - since)
}

async function terminateUntil(total) {
  const lane = async () => {
    while (counts.terminated < total && problems.length === 0) await victim()
  }
  await Promise.all(Array.from({ length: Number(options.victims) }, lane))
}

// --- the run -----------------------------------------------------------------------------------------------------------

for (const model of models) await model.infer(inputsOf(model, 1))
const before = await held()
let stop = false
const own = Promise.all(models.map((model) => closedLoop(model, 3, () => stop)))
const survivor = new Worker(new URL('./survivor.cjs', import.meta.url), { workerData: { tokens } })
const survived = new Promise((resolve, reject) => {
  survivor.once('message', resolve)
  survivor.once('error', reject)
})

const started = Date.now()
const footprints = []
for (let round = 1; round <= rounds && problems.length === 0; round++) {
  await terminateUntil(Math.round((count * round) / rounds))
  footprints.push(await footprint(footprints[0]?.threads))
  if (options.verbose) console.error(JSON.stringify({ ...counts, ...footprints.at(-1) }))
}
const seconds = (Date.now() - started) / 1000

stop = true
survivor.postMessage('stop')
const everyone = [...(await own), ...(await survived)]
const total = { submitted: 0, ended: 0, wrong: 0 }
for (const each of everyone) for (const key of Object.keys(total)) total[key] += each[key]
if (total.wrong > 0) problems.push(`${total.wrong} answers of others were wrong`)
if (total.ended !== total.submitted) problems.push(`${total.submitted - total.ended} requests of others never ended`)
if (everyone.some((each) => each.ended === 0)) problems.push('somebody got no answer at all')

await collect()
const after = await held()
for (const key of ['slots', 'memory']) {
  if (String(after[key]) !== String(before[key])) {
    problems.push(`${key} of the models: ${after[key]} where there were ${before[key]}`)
  }
}
for (const model of models) await model.infer(inputsOf(model, 1))

const [first, settled, last] = [footprints[0], footprints[2], footprints.at(-1)]
if (problems.length === 0) {
  if (last.fds > first.fds) problems.push(`file descriptors grew from ${first.fds} to ${last.fds}`)
  // The first 300 terminations fill the arenas of the allocator; from then on nothing may grow, which a shorter run
  // cannot tell.
  if (count >= 1000 && last.rssMb - settled.rssMb > 48) {
    problems.push(`RSS grew from ${settled.rssMb} to ${last.rssMb} MiB`)
  }
  if (count >= 1000 && last.mappings - settled.mappings > 64) {
    problems.push(`mappings grew from ${settled.mappings} to ${last.mappings}`)
  }
}
await Promise.all(models.map((model) => model.close()))
console.log(
  JSON.stringify({ node: process.version, seed, seconds, ...counts, others: total, before, footprints, problems }),
)
process.exitCode = problems.length ? 1 : 0
