// What does OpenVINO gain on this processor? ResNet-50 in FP32, bf16 and INT8, and digits, with 1 and 8 rows a request: the
// provider against ONNX Runtime's own kernels, each in a process of its own and by turns.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { fromSources } from '../scripts/sources.mjs'
import { at } from '../scripts/step.mjs'
import { folderOf, RESNET_NOTE } from './contenders.mjs'
import { interleave, isQuick, median, newHistogram, paired, quantiles, rounds } from './measure.mjs'
import { ratioLine } from './report.mjs'

const OPENVINO = { executionProviders: [{ name: 'openvino' }] }
const BF16 = { executionProviders: [{ name: 'openvino', precision: 'bf16' }] }
const hasBf16 = / avx512_bf16 /.test(readFileSync('/proc/cpuinfo', 'utf8'))
const RESNET = {
  'ONNX Runtime': { model: 'resnet50', options: {} },
  OpenVINO: { model: 'resnet50', options: OPENVINO, tolerance: 1e-3 },
  ...(hasBf16 && { 'OpenVINO bf16': { model: 'resnet50', options: BF16 } }),
}
const CASES = [
  { what: 'ResNet-50', contenders: RESNET, milliseconds: 600 },
  {
    what: 'ResNet-50 INT8',
    contenders: {
      'ONNX Runtime': { model: 'resnet50_int8', options: {} },
      OpenVINO: { model: 'resnet50_int8', options: OPENVINO },
    },
    milliseconds: 400,
  },
  {
    what: 'digits',
    contenders: {
      'ONNX Runtime': { model: 'digits', options: {} },
      OpenVINO: { model: 'digits', options: OPENVINO, tolerance: 1e-4 },
      'OpenVINO, 1 thread': {
        model: 'digits',
        options: { executionProviders: [{ name: 'openvino', threads: 1 }] },
        tolerance: 1e-4,
      },
    },
    milliseconds: 100,
  },
]

export default async function measure() {
  const question = 'What does OpenVINO gain on this processor?'
  const { installedOpenvino, release } = await fromSources('src/load/openvino-files.ts')
  if (installedOpenvino() === undefined) {
    const note = 'OpenVINO was not measured: install it with `npm run openvino:install`.'
    return { question, lines: [], rows: [], notes: [note] }
  }
  const out = { lines: [], rows: [], raw: {} }
  const notes = [
    `OpenVINO ${release.openvino} in ONNX Runtime ${release.version}, against the ONNX Runtime of subten's package; each contender is a process, and they take turns. One request at a time, subten's own cost included.`,
  ]
  for (const { what, contenders, milliseconds } of CASES) {
    if (Object.values(contenders).some(({ model }) => !folderOf(model))) {
      notes.push(what === 'ResNet-50' ? RESNET_NOTE : `${what} was not measured: its model is not there.`)
      continue
    }
    for (const rows of [1, 8]) {
      const said = await compare(`${what}, ${rows} ${rows === 1 ? 'row' : 'rows'}`, contenders, rows, milliseconds, out)
      notes.push(said)
    }
  }
  return { question, notes, ...out }
}

async function compare(what, contenders, rows, milliseconds, { lines, rows: table, raw }) {
  const processes = {}
  for (const [who, contender] of Object.entries(contenders)) processes[who] = await start(contender, rows)
  try {
    const [base, ...others] = Object.keys(contenders)
    const off = others.map((who) => {
      const difference = furthest(processes[base].answer, processes[who].answer)
      if (difference > (contenders[who].tolerance ?? Infinity)) {
        throw new Error(`${what}: ${who} differs from ${base} by ${difference}`)
      }
      return `${who} ${difference.toExponential(1)}`
    })
    // About as long for each, whatever the machine.
    const probe = median(await processes[base].times(3)) / 1000
    const calls = Math.max(2, Math.ceil((isQuick ? milliseconds / 4 : milliseconds) / probe))
    const found = await interleave(processes, rounds(21), async ({ times }) => {
      const histogram = newHistogram()
      for (const us of await times(calls)) histogram.record(Math.max(1, Math.round(us * 1000)))
      return histogram
    })
    const of = Object.fromEntries(Object.entries(found).map(([who, histograms]) => [who, quantiles(histograms)]))
    raw[what] = of
    for (const who of others) {
      lines.push(ratioLine({ name: `${what}: p50 of ${who} / of ${base}`, ratio: paired(of[who].p50s, of[base].p50s) }))
    }
    for (const [who, times] of Object.entries(of)) table.push({ what: `${what}, ${who}`, ...times })
    const loads = Object.entries(processes).map(([who, { loadMs }]) => `${who} ${Math.round(loadMs)} ms`)
    return `${what}: largest difference of an answer's element ${off.join(', ')}; load ${loads.join(', ')}.`
  } finally {
    for (const { end } of Object.values(processes)) await end()
  }
}

async function start({ model, options }, rows) {
  const given = JSON.stringify({ folder: folderOf(model), rows, options })
  const child = fork(at('bench', 'openvino-process.mjs'), [given], { cwd: at('.') })
  const ended = once(child, 'exit')
  const message = async () => {
    const [answer] = await Promise.race([
      once(child, 'message'),
      ended.then(() => {
        throw new Error(`the process of ${model} ended`)
      }),
    ])
    return answer
  }
  const facts = await message()
  const times = async (calls) => {
    child.send({ calls })
    return (await message()).us
  }
  const end = async () => {
    if (child.connected) child.send({ calls: 0 })
    await ended
  }
  return { ...facts, times, end }
}

const furthest = (a, b) => a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i])), 0)
