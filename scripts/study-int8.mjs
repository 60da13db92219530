// npm run study:int8: what INT8 does to models/vision and others, measured: writes docs/figures/int8/*.json and *.svg and the
// tables in docs/int8.md. Needs `npm run tools:install` and a quiet machine; ten minutes. Accuracy comes out the same each
// time, times do not.
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { load } from 'subten'
import { fromSources } from './sources.mjs'
import { at, main, run, StepError, say } from './step.mjs'

const HELDOUT = at('.cache', 'vision', 'heldout')
const CALIBRATION = at('.cache', 'vision', 'calibration')
const FIGURES = at('docs', 'figures', 'int8')

/** Ways to quantise models/vision. The first is what comes out when nobody thinks about it. */
const WAYS = [
  ['per tensor, min-max', ['--method', 'minmax', '--no-per-channel']],
  ['per tensor, percentile 99.99', ['--no-per-channel']],
  ['per channel, min-max', ['--method', 'minmax']],
  ['per channel, entropy', ['--method', 'entropy']],
  ['per channel, percentile 99.99', []],
  ['per channel, percentile 99.9', ['--percentile', '99.9']],
  ['per channel, percentile 99', ['--percentile', '99']],
  [
    'per channel, percentile 99.999, stem and first depthwise layer in float',
    ['--percentile', '99.999', '--exclude', 'stem', 'block1.depthwise'],
  ],
  ['per channel, percentile 99.99, eight-bit weights', ['--no-reduce-range']],
  ['per channel, percentile 99.99, for TensorRT (S8 activations)', ['--target', 'tensorrt']],
]

main(async () => {
  mkdirSync(FIGURES, { recursive: true })
  await run(process.execPath, [at('scripts', 'vision', 'data.mjs')])
  const work = mkdtempSync(join(tmpdir(), 'subten-int8-'))
  try {
    const { linePlot, writeNpz, openDataset, toolsPython } = await fromSources(
      'src/cli/line-plot.ts',
      'src/data/npz.ts',
      'src/data/dataset.ts',
      'src/quantize/tools-python.ts',
    )
    const ways = []
    for (const [title, flags] of WAYS) {
      say(`models/vision, ${title}`)
      const name = `way_${ways.length}`
      ways.push({ title, ...(await quantised(at('models', 'vision'), work, name, flags)) })
    }
    const tensors = JSON.parse(await weightsOf(toolsPython().executable, work, { openDataset, writeNpz }))
    const speeds = await measureSpeeds(work, writeNpz)
    writeFileSync(join(FIGURES, 'study.json'), `${JSON.stringify({ ways, tensors, speeds }, null, 1)}\n`)
    writeFileSync(join(FIGURES, 'ranges.svg'), linePlot(rangesPlot(tensors.weights)))
    fill({
      ways: waysTable(ways),
      layers: layersTable(tensors.weights),
      activations: activationsTable(tensors),
      speeds: speedsTable(speeds),
    })
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
})

/** `subten quantize`, as its JSON, cut down to what is shown. `data`: null where the model has no held-out data. */
async function quantised(model, out, name, flags, data = HELDOUT, calibration = CALIBRATION) {
  const args = [at('dist', 'cli.js'), 'quantize', model, '--calibration', calibration, '--out', out, '--name', name]
  if (data) args.push('--data', data)
  const text = await output(process.execPath, [...args, '--layers', '0', '--json', ...flags])
  const { bytes, speed, onData, tool } = JSON.parse(text)
  return { bytes, speed, ...(onData && { top1: onData.top1, agreement: onData.agreement }), outputs: tool.outputs }
}

function output(command, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    const parts = []
    child.stdout.on('data', (part) => parts.push(part))
    child.on('error', reject)
    child.on('close', (code) =>
      code === 0
        ? resolve(Buffer.concat(parts).toString())
        : reject(new StepError(`${args.join(' ')} ended with ${code}`)),
    )
  })
}

/** Ranges of weights and activations of the FP32 model, over held-out rows. */
async function weightsOf(python, work, { openDataset, writeNpz }) {
  const model = await load(at('models', 'vision'))
  const rows = await (await openDataset(HELDOUT, model, { limit: 128 })).rows(0, 128)
  await model.close()
  const file = join(work, 'rows.npz')
  const arrays = Object.entries(rows).map(([name, { data, shape }]) => [name, { datatype: 'FP32', shape, data }])
  await writeNpz(file, Object.fromEntries(arrays))
  return output(python, [at('scripts', 'int8', 'tensors.py'), at('models', 'vision', '1', 'model.onnx'), file])
}

/** FP32 beside INT8, batch 1 and 8, one thread each: turn by turn, so that both see the same machine. */
async function measureSpeeds(work, writeNpz) {
  const pairs = [
    ['digits, 8 × 8', at('models', 'digits'), at('models', 'digits_int8')],
    ['vision, 96 × 96', at('models', 'vision'), at('models', 'vision_int8')],
  ]
  const mlp = join(work, 'mlp.npz')
  await writeNpz(mlp, {
    input: { datatype: 'FP32', shape: [256, 64], data: Float32Array.from({ length: 256 * 64 }, () => Math.random()) },
  })
  await quantised(at('models', 'mlp'), work, 'mlp_int8', [], null, mlp)
  pairs.unshift(['mlp, 64 → 64 → 8', at('models', 'mlp'), join(work, 'mlp_int8')])
  const resnet = at('.cache', 'models', 'resnet50')
  if (existsSync(resnet)) pairs.push(['ResNet-50, 224 × 224 (random weights)', resnet, `${resnet}_int8`])
  else say('no .cache/models/resnet50 (scripts/models/make_resnet50.py): left out')
  const found = []
  for (const [title, before, after] of pairs) {
    say(`speed: ${title}`)
    const one = await load(before, { parameters: { intra_op_thread_count: '1' } })
    const other = await load(after, { parameters: { intra_op_thread_count: '1' } })
    found.push({ title, batches: [await inTurns(one, other, 1), await inTurns(one, other, 8)] })
    await one.close()
    await other.close()
  }
  return found
}

async function inTurns(one, other, rows) {
  const [spec] = one.inputs
  const shape = [rows, ...spec.shape.slice(1)]
  const data = Float32Array.from({ length: shape.reduce((a, b) => a * b) }, () => Math.random())
  const inputs = { [spec.name]: { data, shape } }
  const timed = (model, times) => {
    const start = process.hrtime.bigint()
    for (let i = 0; i < times; i++) model.inferSync(inputs)
    return Number(process.hrtime.bigint() - start) / 1000 / times
  }
  timed(one, 3)
  timed(other, 3)
  const times = Math.max(1, Math.round(20_000 / timed(one, 3)))
  const us = { fp32: [], int8: [] }
  for (let round = 0; round < 31; round++) {
    if (round % 2 === 0) us.fp32.push(timed(one, times))
    us.int8.push(timed(other, times))
    if (round % 2 === 1) us.fp32.push(timed(one, times))
  }
  const middle = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)]
  const ratios = us.fp32.map((value, i) => value / us.int8[i]).sort((a, b) => a - b)
  return {
    rows,
    fp32Us: middle(us.fp32),
    int8Us: middle(us.int8),
    ratio: middle(ratios),
    low: ratios[9],
    high: ratios[21],
  }
}

// --- tables and figures -------------------------------------------------------------------------------------------------

const share = ({ value, low, high }) =>
  `${(100 * value).toFixed(1)} (${(100 * low).toFixed(1)}–${(100 * high).toFixed(1)})`
const points = ({ value, low, high }) => `${signed(100 * value)} (${signed(100 * low)} to ${signed(100 * high)})`
const signed = (x) => `${x < 0 ? '−' : '+'}${Math.abs(x).toFixed(1)}`

function waysTable(ways) {
  const rows = ways.map(({ title, top1, agreement, speed, bytes }) => [
    title,
    share(top1.after),
    points(top1.difference),
    share(agreement),
    `${speed.ratio.value.toFixed(2)} (${speed.ratio.low.toFixed(2)}–${speed.ratio.high.toFixed(2)})`,
    `${(bytes.after / 1024 ** 2).toFixed(2)}`,
  ])
  const { top1, bytes } = ways[0]
  rows.unshift(['FP32', share(top1.before), '', '', '1', (bytes.before / 1024 ** 2).toFixed(2)])
  return table(['INT8 by', 'top-1, %', 'points lost or won', 'same answer as FP32, %', 'times as fast', 'MiB'], rows)
}

/** The layers whose channels differ most, where one scale for all of them hurts most. */
function layersTable(weights) {
  const worst = [...weights].sort((a, b) => a.perTensorDb - b.perTensorDb).slice(0, 6)
  return table(
    [
      'layer',
      'kind',
      'channels',
      'largest weight of a channel: smallest, median, largest',
      'per tensor, dB',
      'its worst channel, dB',
      'per channel, dB',
    ],
    worst.map((w) => [
      w.layer,
      w.kind,
      w.channels,
      [w.smallest, w.median, w.largest].map((x) => x.toPrecision(2)).join(', '),
      w.perTensorDb.toFixed(1),
      w.worstChannelDb.toFixed(1),
      w.perChannelDb.toFixed(1),
    ]),
  )
}

function activationsTable({ activations }) {
  const worst = [...activations].sort((a, b) => b.max / b.p9999 - a.max / a.p9999).slice(0, 5)
  return table(
    ['tensor', 'mean', '99 % below', '99.99 % below', 'largest', 'step with min-max', 'step with 99.99 %'],
    worst.map((a) =>
      [a.tensor, a.mean, a.p99, a.p9999, a.max, a.max / 255, a.p9999 / 255].map((x) =>
        typeof x === 'string' ? x : x.toPrecision(3),
      ),
    ),
  )
}

function speedsTable(speeds) {
  return table(
    ['model', 'rows', 'FP32', 'INT8', 'times as fast'],
    speeds.flatMap(({ title, batches }) =>
      batches.map(({ rows, fp32Us, int8Us, ratio, low, high }) => [
        title,
        rows,
        time(fp32Us),
        time(int8Us),
        `${ratio.toFixed(2)} (${low.toFixed(2)}–${high.toFixed(2)})`,
      ]),
    ),
  )
}

const time = (us) => (us < 1000 ? `${us.toPrecision(3)} µs` : `${(us / 1000).toPrecision(3)} ms`)

function table(head, rows) {
  const line = (cells) => `| ${cells.join(' | ')} |`
  return [line(head), line(head.map((_, i) => (i === 0 ? '---' : '---:'))), ...rows.map(line)].join('\n')
}

/** SQNR of each layer's weights under one scale and under one for each channel. */
function rangesPlot(weights) {
  return {
    title: 'Weights of models/vision in eight bits',
    x: 'layer',
    y: 'signal to noise, dB',
    lines: [
      { name: 'per channel', points: weights.map((w, i) => [i + 1, w.perChannelDb]) },
      { name: 'per tensor', points: weights.map((w, i) => [i + 1, w.perTensorDb]) },
      { name: 'worst channel', points: weights.map((w, i) => [i + 1, Math.max(0, w.worstChannelDb)]) },
    ],
  }
}

/** Puts each table between its marks in docs/int8.md. */
function fill(tables) {
  const file = at('docs', 'int8.md')
  let text = readFileSync(file, 'utf8')
  for (const [name, content] of Object.entries(tables)) {
    const [open, close] = [`<!-- ${name} -->`, `<!-- /${name} -->`]
    const [from, to] = [text.indexOf(open), text.indexOf(close)]
    if (from < 0 || to < from) throw new StepError(`docs/int8.md has no place for ${name}`)
    text = `${text.slice(0, from + open.length)}\n\n${content}\n\n${text.slice(to)}`
  }
  writeFileSync(file, text)
}
