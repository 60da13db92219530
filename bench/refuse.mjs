// What does it cost to refuse a request? An overloaded server does it most of the time. In native code beside accepting
// one (bench/native/refusal.cc), and as a caller sees it: a rejected promise with an error that has a stack.
import { performance } from 'node:perf_hooks'
import { inSubten } from './contenders.mjs'
import { interleave, median, millis, newHistogram, paired, quantiles, rounds } from './measure.mjs'
import { buildPrograms, runProgram } from './programs.mjs'
import { figureLine, micros, number, ratioLine } from './report.mjs'

const COUNT = rounds(15)
const MS = millis(300)
const QUEUE = 32
/** One run takes so long: meanwhile nothing leaves the queue. */
const BUSY_MS = 40

export default async function measure() {
  await buildPrograms()
  const native = await runProgram('refusal', [rounds(41)])
  const ratio = paired(native.refuse_ns, native.accept_ns)
  const lines = [
    ratioLine({
      name: 'in native code: refusing a request / accepting one',
      ratio,
      bar: { most: 0.2 },
      detail: `${number(median(native.refuse_ns))} ns and ${number(median(native.accept_ns))} ns`,
    }),
  ]
  const rows = []
  const raw = { native }
  const found = await refusals()
  for (const [what, each] of Object.entries(found)) {
    const means = each.map(({ mean }) => mean)
    raw[what] = means
    lines.push(
      figureLine({
        name: `${what}, each`,
        us: median(means),
        bar: { most: 6 },
        detail: `rounds ${micros(Math.min(...means))} to ${micros(Math.max(...means))}`,
      }),
    )
    rows.push({ what, ...quantiles(each.map(({ histogram }) => histogram)), rate: 1e6 / median(means) })
  }
  const notes = [
    'Native: calls of `Port::submit` one after another while the engine computes, until the queue is full (accepting: nobody sleeps, so it wakes nobody, its cheapest case) and then while it is full (refusing). In JS: `await model.infer()` in a function of a caller, `QUEUE_FULL` caught, one after another; the queue stays full. The stack is in the error from the start; its text is made by V8 when it is first read.',
  ]
  return { question: 'What does it cost to refuse a request?', lines, rows, notes, raw }
}

async function refusals() {
  const { infer, close } = await inSubten('echo', { maxQueueSize: QUEUE, parameters: { busy_us: BUSY_MS * 1000 } })
  const contenders = {
    'infer refused, error caught': (error) => error.code,
    'infer refused, error caught and its stack read': (error) => error.stack.length,
  }
  const found = await interleave(contenders, COUNT, (look) => refusedFor(infer, look))
  await close()
  return found
}

/** Fills the queue behind a busy engine, times refusals while it is full, and waits until it is empty, for a while. */
async function refusedFor(infer, look) {
  const histogram = newHistogram()
  for (let measured = 0; measured < MS; ) {
    const filling = Array.from({ length: 2 * QUEUE }, infer)
    const start = performance.now()
    const ended = Promise.allSettled(filling)
    let now = start
    while (now - start < BUSY_MS * 0.75) {
      const before = now
      if (!(await isRefused(infer, look))) break
      now = performance.now()
      histogram.record(Math.max(1, Math.round((now - before) * 1e6)))
    }
    measured += now - start
    await ended
  }
  return { histogram, mean: histogram.mean / 1000 }
}

async function isRefused(infer, look) {
  try {
    await infer()
    return false
  } catch (error) {
    look(error)
    if (error.code !== 'QUEUE_FULL') throw error
    return true
  }
}
