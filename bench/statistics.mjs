// What do the statistics cost? One record in a latency histogram (bench/native/recording.cc), and reading them all while
// a million requests a second go through.
import { once } from 'node:events'
import { performance } from 'node:perf_hooks'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { inSubten } from './contenders.mjs'
import { closedLatency, interleave, median, millis, paired, quantiles, rounds } from './measure.mjs'
import { buildPrograms, runProgram } from './programs.mjs'
import { figureLine, micros, number, ratioLine } from './report.mjs'

const COUNT = rounds(15)
const MS = millis(1000)

export default async function measure() {
  await buildPrograms()
  const lines = []
  const rows = []
  const recording = await runProgram('recording', [rounds(5) * 2_000_000, rounds(15)])
  const raw = { recording }
  for (const [key, what] of [
    ['alone_ns', 'one histogram record'],
    ['read_ns', 'one histogram record while another thread takes snapshots'],
  ]) {
    lines.push(
      figureLine({
        name: what,
        us: median(recording[key]) / 1000,
        bar: { most: 0.05 },
        detail: `${number(median(recording[key]))} ns, rounds ${number(Math.min(...recording[key]))} to ${number(Math.max(...recording[key]))} ns`,
      }),
    )
  }
  const { infer, model, close } = await inSubten('echo')
  const reader = new Worker(new URL(import.meta.url), { workerData: model.share() })
  await once(reader, 'message')
  const contenders = {
    'nobody reads': { start: () => () => 0 },
    'read once a second': { start: () => readEvery(model, 1000) },
    'read ten times a second': { start: () => readEvery(model, 100) },
    'read by a worker ten times a second': { start: () => readByWorker(reader, 100) },
  }
  const found = await interleave(contenders, COUNT, async ({ start }) => {
    const stop = start()
    const histogram = await closedLatency(infer, 64, MS)
    const reads = await stop()
    return { histogram, reads, rate: (histogram.count / MS) * 1000 }
  })
  const one = []
  for (let i = 0; i < 50; i++) {
    const start = performance.now()
    model.stats()
    one.push((performance.now() - start) * 1000)
  }
  reader.postMessage('close')
  await once(reader, 'exit')
  await close()
  const times = Object.fromEntries(
    Object.entries(found).map(([what, each]) => [what, quantiles(each.map(({ histogram }) => histogram))]),
  )
  for (const [what, each] of Object.entries(found)) {
    const reads = each.reduce((total, round) => total + round.reads, 0)
    rows.push({
      what: `64 in flight, ${what}${reads ? ` (${reads} reads)` : ''}`,
      ...times[what],
      rate: median(each.map(({ rate }) => rate)),
    })
    if (what === 'nobody reads') continue
    lines.push(
      ratioLine({
        name: `p99 with statistics ${what} / with nobody reading`,
        ratio: paired(times[what].p99s, times['nobody reads'].p99s),
        bar: { most: 1.05 },
      }),
    )
  }
  lines.push(`one stats(): ${micros(median(one))} on the thread that asks`)
  raw.flow = times
  raw.oneReadUs = one
  const notes = [
    'A request makes eight records. The values recorded are log-normal, so that neither cache nor branch predictor knows the next one. The flow is a closed loop of 64 on the null engine; `read` is `model.stats()`, which merges the histograms of all ports, on the thread that sends or on a worker attached to the same model.',
  ]
  return { question: 'What do the statistics cost?', lines, rows, notes, raw }
}

/** Reads at once and then every `ms`; the answer stops it and says how often it did. */
function readEvery(model, ms) {
  let reads = 0
  const read = () => {
    model.stats()
    reads++
  }
  // Not at once: the middle of a round, where a round has one read.
  const first = setTimeout(read, Math.min(ms, MS) / 2)
  const timer = setInterval(read, ms)
  return () => {
    clearTimeout(first)
    clearInterval(timer)
    return reads
  }
}

async function stopWorker(reader) {
  const answer = once(reader, 'message')
  reader.postMessage('stop')
  const [reads] = await answer
  return reads
}

function readByWorker(reader, ms) {
  reader.postMessage(ms)
  return () => stopWorker(reader)
}

if (!isMainThread && workerData?.subten) {
  const { attach } = await import('subten')
  const model = attach(workerData)
  let stop = () => 0
  parentPort.on('message', async (what) => {
    if (what === 'close') {
      await model.close()
      parentPort.close()
    } else if (what === 'stop') parentPort.postMessage(stop())
    else stop = readEvery(model, what)
  })
  parentPort.postMessage('ready')
}
