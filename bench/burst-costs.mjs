// What a request of a burst allocates; a process of burst.mjs. Prints one line of JSON.
//   native: needs LD_PRELOAD=…/allocations.node      heap: needs --expose-gc and a large young generation
import { Session } from 'node:inspector/promises'
import { PerformanceObserver } from 'node:perf_hooks'
import { inSubten } from './contenders.mjs'
import { median, randomRows } from './measure.mjs'
import { addon } from './programs.mjs'

const SIZE = 1024
const BURSTS = 100

const sent = randomRows(SIZE, 64, 1)

async function opened() {
  const { model, close } = await inSubten('echo')
  const inputs = sent.map((row) => ({ [model.inputs[0].name]: row }))
  const burst = async () => {
    const answers = new Array(SIZE)
    for (let i = 0; i < SIZE; i++) answers[i] = model.infer(inputs[i])
    return Promise.all(answers)
  }
  for (let i = 0; i < BURSTS; i++) await burst()
  return { burst, close }
}

const less = (after, before) => Object.fromEntries(Object.keys(after).map((key) => [key, after[key] - before[key]]))

async function native() {
  const { counts } = addon('allocations')
  const { burst, close } = await opened()
  counts() // finds the addon
  const before = counts()
  for (let i = 0; i < BURSTS; i++) await burst()
  const found = less(counts(), before)
  // Proof that the counter sees what it looks for: another model, which is known to allocate.
  const proofBefore = counts()
  const other = await inSubten('echo')
  await other.infer()
  const proof = less(counts(), proofBefore)
  if (proof.addon <= 0 || proof.threads < 0) throw new Error('the counter does not see the addon: is it preloaded?')
  await other.close()
  await close()
  return { requests: SIZE * BURSTS, ...found, proof }
}

/** A promise and a result of the same form, made by hand. */
function byHand() {
  class Tensor {
    constructor(datatype, shape, data) {
      this.datatype = datatype
      this.shape = shape
      this.data = data
    }
  }
  const shape = Object.freeze([1, 64])
  const resolvers = new Array(SIZE)
  let pool = new ArrayBuffer(65536)
  let used = 0
  return async () => {
    const answers = new Array(SIZE)
    for (let i = 0; i < SIZE; i++) {
      answers[i] = new Promise((resolve) => {
        resolvers[i] = resolve
      })
    }
    const all = Promise.all(answers)
    for (let i = 0; i < SIZE; i++) {
      if (used === pool.byteLength) {
        pool = new ArrayBuffer(65536)
        used = 0
      }
      const data = new Float32Array(pool, used, 64)
      used += data.byteLength
      resolvers[i]({ output: new Tensor('FP32', shape, data) })
    }
    return all
  }
}

/** Bytes of heap that a request takes; bursts in which the garbage collector ran are left out. */
async function heapBytes(burst) {
  let collected = false
  const observer = new PerformanceObserver(() => {
    collected = true
  })
  observer.observe({ entryTypes: ['gc'] })
  const turn = () => new Promise((resolve) => setTimeout(resolve, 2))
  const bytes = []
  for (let i = 0; i < 30; i++) {
    globalThis.gc()
    await turn() // so that its entry is delivered
    collected = false
    const before = process.memoryUsage().heapUsed
    await burst()
    const after = process.memoryUsage().heapUsed
    await turn()
    if (!collected) bytes.push((after - before) / SIZE)
  }
  observer.disconnect()
  if (bytes.length < 10) throw new Error('the garbage collector ran during most bursts')
  return median(bytes)
}

/** Bytes a request by the function that allocates them, from V8's sampling profiler. */
async function sites(burst) {
  const session = new Session()
  session.connect()
  const all = { includeObjectsCollectedByMajorGC: true, includeObjectsCollectedByMinorGC: true }
  await session.post('HeapProfiler.startSampling', { samplingInterval: 512, ...all })
  for (let i = 0; i < BURSTS; i++) await burst()
  const { profile } = await session.post('HeapProfiler.stopSampling')
  session.disconnect()
  const bytes = new Map()
  const visit = (node, above) => {
    const { functionName, url } = node.callFrame
    // What V8 allocates on behalf of a function has no place of its own.
    const name = url ? functionName || '(anonymous)' : above
    bytes.set(name, (bytes.get(name) ?? 0) + node.selfSize / (SIZE * BURSTS))
    for (const child of node.children) visit(child, name)
  }
  visit(profile.head, '(V8)')
  return [...bytes]
    .map(([name, each]) => ({ name, bytes: each }))
    .filter(({ bytes: each }) => each >= 2)
    .sort((a, b) => b.bytes - a.bytes)
}

async function heap() {
  const { burst, close } = await opened()
  const hand = byHand()
  for (let i = 0; i < BURSTS; i++) await hand()
  const result = { infer: await heapBytes(burst), byHand: await heapBytes(hand), sites: await sites(burst) }
  await close()
  return result
}

console.log(JSON.stringify(process.argv[2] === 'native' ? await native() : await heap()))
