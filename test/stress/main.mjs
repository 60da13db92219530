// npm run test:stress: eight producers in worker threads, every way in, everything that can go wrong on purpose.
//   node --expose-gc test/stress/main.mjs [--seed N] [--requests 1000000] [--more 200000] [--cycles 200]
// Every request must end exactly once, with its own result, and nothing may be left behind.
import { rmSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { load } from '../../dist/index.js'
import { catalogue, mlpCases, writeModels } from './catalogue.mjs'
import { Cores } from './cores.mjs'
import { cycles, writeBadModel } from './cycles.mjs'
import { ENDS, Ledger, newLedgerMemory } from './ledger.mjs'
import { growth, processFacts, slope } from './process-facts.mjs'
import { Random } from './random.mjs'
import { Producers } from './workers.mjs'

const WORKERS = 8
const LANES = 24
/** A worker that is terminated takes at most its lanes' requests with it, each up to twelve of one inferMany. */
const MOST_LOST = 3 * LANES * 13
/** How much RSS may lie above where it was, MiB: 200,000 requests that left 130 bytes each would show. */
const RSS_BOUND_MIB = 16
const STALLED_MS = 60_000

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    requests: { type: 'string', default: '1000000' },
    more: { type: 'string', default: '200000' },
    cycles: { type: 'string', default: '200' },
  },
})
const [seed, wanted, more, rounds] = ['seed', 'requests', 'more', 'cycles'].map((name) => Number(values[name]))
const started = performance.now()
const problems = []
const report = (problem) => {
  problems.push(problem)
  if (problems.length <= 20) console.error(`stress: ${problem}`)
}
if (globalThis.gc === undefined) report('run it with --expose-gc')
console.log(`stress: seed ${seed}, ${wanted} requests, ${more} more, ${rounds} load/close cycles`)

const random = new Random(seed)
const root = writeModels()
const cases = await mlpCases(load)
const entries = catalogue({ root, cases })
const ledgerMemory = newLedgerMemory()
const ledger = new Ledger(ledgerMemory)
const cores = new Cores({ entries, ledger, report })
for (const { key } of entries) await cores.open(key)
const producers = new Producers({
  common: { ledgerMemory, root, cases, lanes: LANES },
  seed,
  tokens: () => cores.tokens(),
  report,
})
for (let row = 0; row < WORKERS; row++) await producers.start(row)

const counts = { terminated: 0, lost: 0, moved: 0, audits: 0 }
const ended = () => Array.from({ length: WORKERS }, (_, row) => ledger.ended(row)).reduce((a, b) => a + b, 0)

function finish() {
  rmSync(root, { recursive: true, force: true })
  if (problems.length > 0) console.log(`stress: FAILED with seed ${seed}: ${problems.length} problems`)
  else console.log(`stress: passed with seed ${seed}`)
  process.exit(problems.length > 0 ? 1 : 0)
}

// Nothing ends any more: say who waits for what, and stop.
let progress = { count: -1, at: performance.now() }
const watch = setInterval(async () => {
  const count = ended()
  if (count !== progress.count) progress = { count, at: performance.now() }
  if (performance.now() - progress.at < STALLED_MS) return
  report(`no request has ended for ${STALLED_MS / 1000} s; unanswered: ${producers.unanswered.join(', ') || 'nothing'}`)
  for (const { entry, model, number } of cores.all()) {
    const open = Array.from({ length: WORKERS }, (_, row) => ledger.openOf(row, number))
    console.error(`${entry.key} (core ${number}): open by worker ${open}, ${JSON.stringify(model.stats().requests)}`)
  }
  for (let row = 0; row < WORKERS; row++) {
    const where = await Promise.race([producers.tell(row, 'where'), sleep(1000, { doing: 'it does not answer' })])
    if (where.doing.length > 0) console.error(`worker ${row}: ${where.doing}`)
  }
  finish()
}, 1000)
watch.unref()

async function produce(row, target) {
  // Answered when the share is done, or not at all when the worker is terminated: then its successor goes on.
  while (ledger.ended(row) < target) await producers.tell(row, 'run', { target }).then((done) => done ?? replaced[row])
}
const replaced = []

async function terminateOne() {
  const row = random.below(WORKERS)
  let up
  replaced[row] = new Promise((resolve) => {
    up = resolve
  })
  await producers.terminate(row)
  const lost = cores.lose(row)
  if (lost > MOST_LOST) report(`worker ${row} took ${lost} requests with it`)
  counts.lost += lost
  counts.terminated++
  await producers.start(row)
  up()
}

async function moveOne() {
  const { key } = random.pick(entries)
  if (!cores.room) return
  const share = cores.share(await cores.open(key))
  await producers.tellAll('moved', { share })
  counts.moved++
}

async function collect() {
  const answers = await producers.tellAll('collect')
  for (let i = 0; i < 3; i++) {
    globalThis.gc()
    await sleep(1)
  }
  return answers.reduce((sum, answer) => sum + answer.heapMib, 0)
}

/** `count` requests by all workers, and, while they run, `events` one after another; then everything is looked at. */
async function chunk(count, events) {
  const shares = Array.from({ length: WORKERS }, (_, row) => ledger.ended(row) + Math.ceil(count / WORKERS))
  let over = false
  const running = Promise.all(shares.map((target, row) => produce(row, target))).then(() => {
    over = true
  })
  for (const event of events) {
    await sleep(random.below(300))
    if (!over) await event()
  }
  await running
  await collect()
  await cores.audit(collect)
  counts.audits++
}

const CHUNKS = wanted === 0 ? 0 : Math.max(4, Math.min(20, Math.round(wanted / 25_000)))
for (let i = 0; i < CHUNKS; i++) {
  await chunk(wanted / CHUNKS, [terminateOne, moveOne, terminateOne, moveOne, moveOne])
}
const seconds = (performance.now() - started) / 1000
const soFar = ended()

// Once more, with memory measured after each part. Workers and shared models come and go no more: what they leave is
// not a request's.
const SAMPLES = Math.max(9, Math.min(30, Math.round(more / 6000)))
const samples = []
if (more > 0) {
  for (let i = 0; i < SAMPLES; i++) {
    await chunk(more / SAMPLES, [])
    samples.push({ requests: ended() - soFar, heapsMib: await collect(), ...processFacts() })
  }
}

clearInterval(watch)
const open = Array.from({ length: WORKERS }, (_, row) => ledger.open(row)).reduce((a, b) => a + b, 0)
if (open !== counts.lost) report(`${open - counts.lost} requests never ended`)
await producers.end()
await cores.close()

const total = ledger.total()
console.log(`\n${'outcome'.padEnd(24)}requests`)
for (const end of ENDS) console.log(end.padEnd(24) + total[end])
console.log(`${'went with their worker'.padEnd(24)}${counts.lost}\n${'asked'.padEnd(24)}${total.attempts}\n`)
console.log(
  `${soFar} requests in ${seconds.toFixed(1)} s: ${Math.round(soFar / seconds)} a second; ${counts.terminated} workers terminated, ${counts.moved} models reloaded, ${counts.audits} audits`,
)

if (samples.length > 0) {
  const rss = samples.map((sample) => sample.rssMib)
  const grown = growth(rss)
  const bytes = slope(
    samples.map((sample) => sample.requests),
    rss.map((mib) => mib * 2 ** 20),
  )
  console.log(
    `RSS over ${samples.at(-1).requests} more: ${rss[0].toFixed(1)} → ${rss.at(-1).toFixed(1)} MiB, slope ${bytes.toFixed(1)} bytes a request, last third − first third ${grown.toFixed(2)} MiB (bound ${RSS_BOUND_MIB})`,
  )
  console.log(`heaps of the workers, MiB: ${samples.map(({ heapsMib }) => heapsMib.toFixed(1)).join(' ')}`)
  console.log(`samples, MiB: ${rss.map((mib) => mib.toFixed(1)).join(' ')}`)
  if (grown > RSS_BOUND_MIB) report(`RSS grew by ${grown.toFixed(1)} MiB`)
}

if (rounds > 0) {
  for (const { kind, first, last, problems } of await cycles(rounds, { bad: writeBadModel(root) })) {
    const change = Object.keys(first).map((fact) => `${fact} ${first[fact].toFixed(0)} → ${last[fact].toFixed(0)}`)
    console.log(`${rounds} load/close cycles, ${kind}: ${change.join(', ')}`)
    for (const problem of problems) report(problem)
  }
}
console.log(`took ${((performance.now() - started) / 1000).toFixed(1)} s`)
finish()
