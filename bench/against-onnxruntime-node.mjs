// subten against onnxruntime-node, plain and in a pool of worker threads: what does a small model cost in each, one
// request at a time and many at once?
import os from 'node:os'
import { Bench } from 'tinybench'
import { checkAgreement, inOnnxruntimeNode, inPiscina, inSubten } from './contenders.mjs'
import { compareClosed, interleave, median, millis, paired, quantiles, rounds, syncLatency } from './measure.mjs'
import { ratioLine } from './report.mjs'

const COUNT = rounds(11)
const MS = millis(250)
const CPUS = os.availableParallelism()
/** Names of the pools. One thread: the session's own threads do the work. A thread a CPU: one thread a session. */
const POOLS = {
  'piscina, 1 thread': { threads: 1 },
  [`piscina, ${CPUS} threads`]: { threads: CPUS, intraOpNumThreads: 1 },
}

export default async function measure() {
  const out = { lines: [], rows: [], raw: {} }
  for (const [name, levels] of [
    ['mlp', [64]],
    ['digits', [1, 8, 64]],
  ]) {
    const subten = await inSubten(name)
    const node = await inOnnxruntimeNode(name)
    await checkAgreement(name, subten, node)
    if (name === 'mlp') await oneAtATime(subten, node, out)
    const pools = {}
    for (const [what, options] of Object.entries(POOLS)) {
      pools[what] = await inPiscina(name, options)
      await checkAgreement(name, subten, pools[what], 1e-4, what)
    }
    const baselines = { 'onnxruntime-node': node, ...pools }
    for (const callers of levels) await levelOf(name, callers, subten, baselines, out)
    await subten.close()
    for (const { close } of Object.values(baselines)) await close()
  }
  const notes = [
    'All run in one process and take turns. subten and onnxruntime-node with their defaults; onnxruntime-node gets tensors made beforehand. A pool of one thread has its session as it comes, a pool of a thread a CPU has one thread a session; a task is a typed array and its shape, copied there and back. Rates come from rounds in which no call is timed, p50 and p99 from rounds of their own; the lines of one mlp request at a time come from tinybench (`inferSync`: the same loop without promises).',
  ]
  return {
    question: 'subten against onnxruntime-node and a pool of it: what does a small model cost in each?',
    notes,
    ...out,
  }
}

async function levelOf(name, callers, subten, baselines, { lines, rows, raw }) {
  const calls = { subten: subten.infer }
  for (const [who, { run }] of Object.entries(baselines)) calls[who] = run
  const isMlp = name === 'mlp'
  const echo = isMlp ? await inSubten('echo') : undefined
  if (echo) calls['null engine'] = echo.infer
  const what = `${name}, ${callers} in flight`
  const found = await compareClosed(calls, { callers, count: COUNT, ms: MS })
  await echo?.close()
  raw[what] = found
  const pair = (label, who, key, bar) =>
    lines.push(
      ratioLine({
        name: `${what}: ${label} of subten / of ${who === 'null engine' ? 'the null engine' : who}`,
        ratio: paired(found.subten[key], found[who][key]),
        bar,
      }),
    )
  if (echo) pair('rate', 'null engine', 'rates', { least: 0.5 })
  for (const who of Object.keys(baselines)) {
    pair('rate', who, 'rates', { least: isMlp ? 8 : 1 })
    pair('p99', who, 'p99s', callers >= 8 ? { most: 1 } : undefined)
  }
  for (const [who, each] of Object.entries(found)) rows.push({ what: `${what}, ${who}`, ...each })
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
  const pair = (name, a, b, bar) =>
    lines.push(ratioLine({ name: `mlp, one at a time: ${name}`, ratio: paired(a, b), bar }))
  pair('p50 of subten inferSync / of onnxruntime-node run', sync.p50s, of('run', 'p50'), { most: 1 })
  pair('p99 of subten inferSync / of onnxruntime-node run', sync.p99s, of('run', 'p99'), { most: 1 })
  pair('p50 of subten infer / of onnxruntime-node run', of('infer', 'p50'), of('run', 'p50'))
  pair('p99 of subten infer / of onnxruntime-node run', of('infer', 'p99'), of('run', 'p99'))
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
