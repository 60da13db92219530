// Does a running model hold up the event loop? How late 1 ms timers fire while a slow model runs without a pause.
import { performance } from 'node:perf_hooks'
import { folderOf, inOnnxruntimeNode, inSubten, RESNET_NOTE } from './contenders.mjs'
import { interleave, millis, newHistogram, paired, quantiles, rounds } from './measure.mjs'
import { figureLine, micros, ratioLine } from './report.mjs'

const COUNT = rounds(9)
const MS = millis(1500)

export default async function measure() {
  const question = 'Does a running model hold up the event loop?'
  if (!folderOf('resnet50')) return { question, lines: [], rows: [], notes: [RESNET_NOTE] }
  const subten = await inSubten('resnet50', {}, 4)
  const node = await inOnnxruntimeNode('resnet50', 4)
  const contenders = { idle: undefined, subten: subten.infer, 'onnxruntime-node': node.run }
  const runs = Object.fromEntries(Object.keys(contenders).map((name) => [name, 0]))
  const found = await interleave(contenders, COUNT, async (call, round, name) => {
    const { histogram, done } = await lateness(call)
    if (round >= 0) runs[name] += done
    return histogram
  })
  await subten.close()
  await node.close()
  const times = Object.fromEntries(Object.entries(found).map(([name, each]) => [name, quantiles(each)]))
  const lines = [
    ratioLine({
      name: 'p99 of the lateness: onnxruntime-node / subten',
      ratio: paired(times['onnxruntime-node'].p99s, times.subten.p99s),
    }),
    figureLine({
      name: 'p99 of the lateness with subten',
      us: times.subten.p99,
      bar: { most: times.idle.p99 + 500 },
      detail: `idle ${micros(times.idle.p99)}, onnxruntime-node ${micros(times['onnxruntime-node'].p99)}, of whose runs one takes about ${micros((COUNT * MS * 1000) / runs['onnxruntime-node'])}`,
    }),
  ]
  const what = (name) => (name === 'idle' ? 'timers, no model' : `timers, ResNet-50 by ${name} (${runs[name]} runs)`)
  const rows = Object.entries(times).map(([name, row]) => ({
    what: what(name),
    ...row,
    rate: (row.calls / COUNT / MS) * 1000,
  }))
  const notes = [
    'Lateness: when a 1 ms timer fired, less 1 ms. Rate: timers that fired a second. One ResNet-50 request after another.',
  ]
  return { question, lines, rows, notes, raw: times }
}

/** Lateness of one timer after another for a while, with `call` kept running beside them. */
async function lateness(call) {
  const histogram = newHistogram()
  let over = false
  let done = 0
  const busy = (async () => {
    while (call && !over) {
      await call()
      done++
    }
  })()
  const end = performance.now() + MS
  while (performance.now() < end) {
    const due = performance.now() + 1
    await new Promise((resolve) => setTimeout(resolve, 1))
    histogram.record(Math.max(1, Math.round((performance.now() - due) * 1e6)))
  }
  over = true
  await busy
  return { histogram, done }
}
