// A worker thread of the stress: many lanes that each send one request after another, while handles come and go.
import { setImmediate as turn } from 'node:timers/promises'
import { parentPort, workerData } from 'node:worker_threads'
import { attach, load } from '../../dist/index.js'
import { catalogue } from './catalogue.mjs'
import { auditCore, Ledger, Tally } from './ledger.mjs'
import { Random } from './random.mjs'
import { Requests } from './requests.mjs'

const { row, id, seed, ledgerMemory, root, cases, lanes, tokens } = workerData
const entries = catalogue({ root, cases })
const random = new Random(seed)
const ledger = new Ledger(ledgerMemory)
const report = (problem) => parentPort.postMessage({ problem })
const requests = new Requests({ id, row, ledger, random, report })

const warnings = new Set(['SUBTEN_SLOT_FORGOTTEN'])
process.removeAllListeners('warning')
process.on('warning', (warning) => {
  if (!warnings.has(warning.code)) report(`a warning: ${warning.stack}`)
})

/** By key: the model, its core's number in the ledger, and whether it is being closed. */
const handles = new Map()
const shares = new Map(tokens.map((share) => [share.key, share]))

function open(key) {
  const { token, core } = shares.get(key)
  const entry = entries.find((each) => each.key === key)
  const handle = { entry, core, model: attach(token), closing: false }
  handles.set(key, handle)
  return handle
}

const chances = entries.flatMap((entry) => Array.from({ length: entry.weight }, () => entry.key))
for (const entry of entries) open(entry.key)

/** Another handle on the same core; the old one is closed, disposed or forgotten while its requests are under way. */
async function replace(key, forget) {
  const old = handles.get(key)
  open(key)
  if (forget) return // its lanes go on with it until they have ended
  const last = requests.some({ ...old, entry: old.entry, closing: true })
  old.closing = true
  await (random.oneIn(2) ? old.model.close() : old.model[Symbol.asyncDispose]())
  await last
  await requests.some(old) // MODEL_CLOSED, whatever it is
}

/** A model of this worker's own: loaded, used and closed under load; it counts exactly. */
async function own() {
  const entry = random.pick(entries)
  const model = await load(entry.path, entry.options)
  const tally = new Tally()
  const both = {
    attempt(...args) {
      for (const each of [tally, ledger]) each.attempt(...args)
    },
    end(...args) {
      for (const each of [tally, ledger]) each.end(...args)
    },
  }
  const asked = new Requests({ id, row, ledger: both, random, report })
  asked.seq = requests.seq + 0x1000_0000
  const handle = { entry, core: 0, model, closing: false }
  await Promise.all(Array.from({ length: 40 }, () => asked.some(handle)))
  // A slot released while its completion is on the way has settled: the completion is counted when it is read.
  for (let tries = 0; tries < 1000 && model.stats().requests.inFlight > 0; tries++) await turn()
  const problems = auditCore(tally.seen, model.stats(), 0, entry.steady)
  for (const problem of problems) report(`own ${entry.key}: ${problem}`)
  const late = Array.from({ length: 10 }, () => asked.some(handle))
  handle.closing = true
  await model.close()
  await Promise.all(late)
  if (tally.seen.attempts !== tally.ended) report(`own ${entry.key}: not every request ended`)
}

let target = 0
/** What each lane does, for the case that one never ends. */
const doing = []

async function lane(_, number) {
  while (ledger.ended(row) < target) {
    for (let i = 0; i < 16 && ledger.ended(row) < target; i++) {
      const key = random.pick(chances)
      doing[number] = `a request to ${key}`
      await requests.some(handles.get(key))
    }
    // By chance, so that on average each handle is replaced every few thousand requests.
    const { key } = random.pick(entries)
    doing[number] = `replacing ${key}`
    if (random.oneIn(150)) await replace(key, random.oneIn(4))
    doing[number] = 'a model of its own'
    if (random.oneIn(400)) await own()
    doing[number] = undefined
    if (requests.forgotten > 64) {
      requests.forgotten = 0
      globalThis.gc?.()
    }
  }
}

async function run() {
  const all = Array.from({ length: lanes }, lane)
  await Promise.all(all.map((each) => each.catch((error) => report(`a lane died: ${error.stack}`))))
}

// Forgotten slots hold memory that lanes may be waiting for.
setInterval(() => {
  if (requests.forgotten > 0) globalThis.gc?.()
  requests.forgotten = 0
}, 500)

const commands = {
  async run(message) {
    target = message.target
    await run()
    return { done: 'run' }
  },
  /** The core of a model was replaced: on to the new one. */
  async moved({ share }) {
    shares.set(share.key, share)
    await replace(share.key, false)
    return { done: 'moved' }
  },
  async where() {
    const open = [...handles.values()].map(({ entry, model }) => [entry.key, model.stats().requests.inFlight])
    return { doing: doing.filter(Boolean), open }
  },
  async collect() {
    for (let i = 0; i < 3; i++) {
      globalThis.gc?.()
      await turn()
    }
    const { heapTotal, external } = process.memoryUsage()
    return { done: 'collect', heapMib: (heapTotal + external) / 2 ** 20 }
  },
  async close() {
    await Promise.all([...handles.values()].map(({ model }) => model.close()))
    return { done: 'close' }
  },
}

parentPort.on('message', async ({ command, ticket, ...rest }) => {
  try {
    parentPort.postMessage({ ticket, ...(await commands[command](rest)) })
  } catch (error) {
    report(`${command} failed: ${error.stack}`)
    parentPort.postMessage({ ticket })
  }
})
parentPort.postMessage({ up: true })
