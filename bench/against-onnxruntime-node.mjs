// subten against onnxruntime-node: what does a small model cost in each, one request at a time and many at once?
import { Bench } from 'tinybench'
import { checkAgreement, inOnnxruntimeNode, inSubten } from './contenders.mjs'
import { compareClosed, interleave, median, millis, paired, quantiles, rounds, syncLatency } from './measure.mjs'
import { ratioLine } from './report.mjs'

const COUNT = rounds(15)
const MS = millis(300)
const BAR = { least: 3 }

export default async function measure() {
  const lines = []
  const rows = []
  const raw = {}
  for (const [name, levels] of [
    ['mlp', [64]],
    ['digits', [1, 8, 64]],
  ]) {
    const subten = await inSubten(name)
    const node = await inOnnxruntimeNode(name)
    await checkAgreement(name, subten, node)
    if (name === 'mlp') await oneAtATime(subten, node, { lines, rows, raw })
    for (const callers of levels) {
      const found = await compareClosed({ subten: subten.infer, node: node.run }, { callers, count: COUNT, ms: MS })
      const what = `${name}, ${callers} in flight`
      raw[what] = found
      const ratio = paired(found.subten.rates, found.node.rates)
      const isBar = name === 'mlp' && callers === 64
      const line = ratioLine({
        name: `${what}: rate of subten / of onnxruntime-node`,
        ratio,
        bar: isBar ? BAR : undefined,
      })
      if (isBar) lines.unshift(line)
      else lines.push(line)
      lines.push(
        ratioLine({
          name: `${what}: p99 of subten / of onnxruntime-node`,
          ratio: paired(found.subten.p99s, found.node.p99s),
        }),
      )
      rows.push(
        { what: `${what}, subten infer`, ...found.subten },
        { what: `${what}, onnxruntime-node run`, ...found.node },
      )
    }
    await subten.close()
    await node.close()
  }
  const notes = [
    'Both run in one process with their defaults and take turns; onnxruntime-node gets tensors made beforehand. Rates come from rounds in which no call is timed, p50 and p99 from rounds of their own; the lines of one mlp request at a time come from tinybench (`inferSync`: the same loop without promises).',
  ]
  return { question: 'subten against onnxruntime-node: what does a small model cost in each?', lines, rows, notes, raw }
}

/** One mlp request at a time: what tinybench is made for. A short bench each round, the order turning. */
async function oneAtATime(subten, node, { lines, rows, raw }) {
  const tasks = { infer: subten.infer, inferSync: subten.inferSync, run: node.run }
  const found = await interleave(tasks, COUNT, (call, _round, name) =>
    name === 'inferSync' ? syncLatency(call, MS) : tiny(call),
  )
  const sync = quantiles(found.inferSync)
  const of = (name, key) => found[name].map((each) => each[key])
  const row = (name) => ({
    p50: median(of(name, 'p50')),
    p99: median(of(name, 'p99')),
    rate: median(of(name, 'rate')),
    calls: of(name, 'calls').reduce((a, b) => a + b, 0),
  })
  raw['mlp, one at a time'] = { ...found, inferSync: sync }
  const pair = (name, a, b) => lines.push(ratioLine({ name: `mlp, one at a time: ${name}`, ratio: paired(a, b) }))
  pair('p50 of subten infer / of onnxruntime-node run', of('infer', 'p50'), of('run', 'p50'))
  pair('p99 of subten infer / of onnxruntime-node run', of('infer', 'p99'), of('run', 'p99'))
  pair('p50 of subten inferSync / of onnxruntime-node run', sync.p50s, of('run', 'p50'))
  pair('p99 of subten inferSync / of onnxruntime-node run', sync.p99s, of('run', 'p99'))
  rows.push(
    { what: 'mlp, one at a time, subten infer', ...row('infer') },
    { what: 'mlp, one at a time, subten inferSync', ...sync },
    { what: 'mlp, one at a time, onnxruntime-node run', ...row('run') },
  )
}

async function tiny(call) {
  const bench = new Bench({ time: MS, warmup: false, retainSamples: true })
  bench.add('call', async () => {
    await call()
  })
  const [task] = await bench.run()
  const { latency } = task.result
  return { p50: latency.p50 * 1000, p99: latency.p99 * 1000, rate: 1000 / latency.mean, calls: latency.samplesCount }
}
