// A large model: ResNet-50 with 1, 8 and 64 requests in flight, beside onnxruntime-node and pools of it; and one at a time
// beside ONNX Runtime's own Python API, with the same file and the same number of threads.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import os from 'node:os'
import { createInterface } from 'node:readline'
import { at } from '../scripts/step.mjs'
import { which } from '../scripts/tools.mjs'
import {
  checkAgreement,
  folderOf,
  inOnnxruntimeNode,
  inPiscina,
  inSubten,
  onnxruntimeVersion,
  RESNET_NOTE,
} from './contenders.mjs'
import { closedCount, interleave, isQuick, median, newHistogram, paired, quantiles, rounds } from './measure.mjs'
import { ratioLine } from './report.mjs'

const CPUS = os.availableParallelism()
const ROWS = 4
/** Requests in flight, and how many requests a round has. */
const LEVELS = isQuick
  ? [
      { callers: 1, calls: 2, count: 2 },
      { callers: 8, calls: 8, count: 2 },
      { callers: 64, calls: 64, count: 1 },
    ]
  : [
      { callers: 1, calls: 8, count: 7 },
      { callers: 8, calls: 16, count: 5 },
      { callers: 64, calls: 96, count: 2 },
    ]
const LEVEL_S = 100
const PYTHON = { calls: isQuick ? 2 : 8, count: rounds(11) }
const PYTHON_NOTE =
  'ONNX Runtime’s Python API was not measured: no Python with it was found (bench/README.md says how to install it).'

export default async function measure() {
  const question = 'What does ResNet-50 cost, one request at a time and many at once?'
  if (!folderOf('resnet50')) return { question, lines: [], rows: [], notes: [RESNET_NOTE] }
  const out = { lines: [], rows: [], raw: {} }
  const notes = [
    'All with their defaults, in turn: subten and onnxruntime-node use all CPUs for one run, a pool of a thread a CPU has one thread a session. A round is a number of requests.',
  ]
  const subten = await inSubten('resnet50', {}, ROWS)
  notes.push(await besidePython(subten, out))
  await besideNode(subten, out)
  await subten.close()
  return { question, notes, ...out }
}

async function besideNode(subten, { lines, rows, raw }) {
  const baselines = { 'onnxruntime-node': await inOnnxruntimeNode('resnet50', ROWS) }
  for (const [threads, intraOpNumThreads] of [
    [1, undefined],
    [CPUS, 1],
  ]) {
    const who = `piscina, ${threads} thread${threads > 1 ? 's' : ''}`
    baselines[who] ??= await inPiscina('resnet50', { threads, intraOpNumThreads }, ROWS)
  }
  for (const [who, baseline] of Object.entries(baselines)) {
    await checkAgreement('resnet50', subten, baseline, 1e-3, who)
  }
  const calls = { subten: subten.infer }
  for (const [who, { run }] of Object.entries(baselines)) calls[who] = run
  const { histogram: alone } = await closedCount(subten.infer, 1, 3)
  for (const { callers, calls: most, count } of LEVELS) {
    // On a slow machine fewer, so that a level ends in a minute or two.
    const fit = Math.floor(LEVEL_S / ((alone.percentile(50) / 1e9) * Object.keys(calls).length * (count + 1)))
    const each = Math.max(callers, Math.min(most, fit))
    const found = await interleave(calls, count, (call) => closedCount(call, callers, each))
    const what = `ResNet-50, ${callers} in flight`
    const of = Object.fromEntries(
      Object.entries(found).map(([who, results]) => [
        who,
        { rates: results.map(({ rate }) => rate), ...quantiles(results.map(({ histogram }) => histogram)) },
      ]),
    )
    raw[what] = of
    for (const who of Object.keys(baselines)) {
      const pair = (label, key, bar) =>
        lines.push(
          ratioLine({
            name: `${what}: ${label} of subten / of ${who}`,
            ratio: paired(of.subten[key], of[who][key]),
            bar,
          }),
        )
      pair('rate', 'rates', { least: 1 })
      pair('p99', 'p99s', callers >= 8 ? { most: 1 } : undefined)
    }
    for (const [who, times] of Object.entries(of)) {
      rows.push({ what: `${what}, ${who}`, ...times, rate: median(times.rates) })
    }
  }
  for (const { close } of Object.values(baselines)) await close()
}

/** One request at a time, in turn with Python processes. Returns what there is to say about them. */
async function besidePython(subten, { lines, rows, raw }) {
  const python = await findPython()
  if (!python) return PYTHON_NOTE
  const ways = { 'Python API': '1', 'Python API without spinning threads': '0' }
  const processes = {}
  for (const [who, spin] of Object.entries(ways)) processes[who] = await startPython(python, spin)
  const contenders = { subten: async () => timesOf(await closedCount(subten.infer, 1, PYTHON.calls)) }
  for (const [who, { runs }] of Object.entries(processes)) contenders[who] = () => runs(PYTHON.calls)
  const found = await interleave(contenders, PYTHON.count, (run) => run())
  for (const { end } of Object.values(processes)) await end()
  const what = 'ResNet-50, one at a time'
  const medians = Object.fromEntries(Object.entries(found).map(([who, each]) => [who, each.map(({ p50 }) => p50)]))
  raw[what] = medians
  for (const who of Object.keys(ways)) {
    lines.push(
      ratioLine({
        name: `${what}: p50 of subten / of ONNX Runtime's ${who}`,
        ratio: paired(medians.subten, medians[who]),
        bar: ways[who] === '1' ? { most: 1.02 } : undefined,
      }),
    )
  }
  for (const [who, each] of Object.entries(found)) {
    rows.push({ what: `${what}, ${who}`, ...quantiles(each.map(({ histogram }) => histogram)) })
  }
  const [{ version }] = Object.values(processes)
  const ours = onnxruntimeVersion()
  const other =
    version === ours ? '' : ` This is another version than subten’s ${ours}: the difference is part of the ratio.`
  return `Python: ONNX Runtime ${version}, ${CPUS} threads, in processes of its own that take turns with subten; its threads spin by default, subten's never do.${other}`
}

const timesOf = ({ histogram }) => ({ histogram, p50: histogram.percentile(50) / 1000 })

async function findPython() {
  const candidates = [
    process.env.SUBTEN_PYTHON,
    at('.cache', 'bench', 'venv', 'bin', 'python'),
    at('.venv', 'bin', 'python'),
    which('python3'),
  ]
  for (const path of candidates) {
    if (!path || !existsSync(path)) continue
    const child = spawn(path, ['-c', 'import numpy, onnxruntime'], { stdio: 'ignore' })
    const [code] = await once(child, 'exit')
    if (code === 0) return path
  }
  return undefined
}

async function startPython(python, spin) {
  const model = `${folderOf('resnet50')}/1/model.onnx`
  const child = spawn(python, [at('bench', 'python_runs.py'), model, String(CPUS), spin], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const ended = once(child, 'exit')
  const answer = async () => {
    const { value, done } = await answers.next()
    if (done) throw new Error('the Python program ended')
    return JSON.parse(value)
  }
  const { version } = await answer()
  const runs = async (count) => {
    child.stdin.write(`${count}\n`)
    const { us } = await answer()
    const histogram = newHistogram()
    for (const each of us) histogram.record(Math.round(each * 1000))
    return timesOf({ histogram })
  }
  const end = async () => {
    child.stdin.end()
    await ended
  }
  return { version, runs, end }
}
