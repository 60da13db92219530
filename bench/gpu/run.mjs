// npm run bench:gpu [name…]: ONNX models on a GPU through subten, and the same networks in PyTorch on the same card.
// Latency of one request at a time, requests of many rows, and the best rate of an open loop with p99 under 10 ms.
import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { load } from 'subten'
import { at } from '../../scripts/step.mjs'
import { card } from '../../test/gpu/gpu.mjs'
import { folderOf, relativeError, rowsFor } from '../../test/gpu/models.mjs'
import { asMarkdown } from './markdown.mjs'

const QUICK = process.env.SUBTEN_BENCH_QUICK === '1'
const SECONDS = QUICK ? 0.2 : Number(process.env.SUBTEN_BENCH_SECONDS ?? 2)
const LIMIT_MS = 10
// Without a GPU the script itself can be tried, on the CPU.
const REHEARSAL = process.env.SUBTEN_GPU_REHEARSAL === '1'
const cuda = (options = {}) => (REHEARSAL ? {} : { executionProviders: [{ name: 'cuda', ...options }] })

/** Requests a second of the open loops. */
const SMALL = [5e3, 1e4, 2e4, 3e4, 4e4]
const LARGE = [400, 800, 1200, 1600, 2000, 2600, 3200, 4000, 5000, 6000]
const ROWS = [1, 8, 32]

/** What is measured; `cpu` needs no GPU. Runs are recorded as CUDA graphs except where a case says “launched”. */
const CASES = [
  { name: 'digits, CPU', model: 'digits', options: {}, cpu: true, rates: SMALL },
  { name: 'digits', model: 'digits', options: cuda(), batches: [1, 32], rates: SMALL },
  { name: 'digits, launched', model: 'digits', options: cuda({ graphs: false }), batches: [1, 32] },
  { name: 'mlp, CPU', model: 'mlp', options: {}, cpu: true },
  { name: 'mlp', model: 'mlp', options: cuda(), batches: [1, 32] },
  { name: 'mlp, launched', model: 'mlp', options: cuda({ graphs: false }), batches: [1, 32] },
  { name: 'ResNet-50 FP32, CPU', model: 'resnet50', options: {}, cpu: true },
  { name: 'ResNet-50 FP32', model: 'resnet50', options: cuda({ tf32: false }), batches: ROWS },
  { name: 'ResNet-50 TF32', model: 'resnet50', options: cuda(), batches: ROWS, rates: LARGE },
  { name: 'ResNet-50 TF32, launched', model: 'resnet50', options: cuda({ graphs: false }), batches: ROWS },
  { name: 'ResNet-50 TF32, pageable', model: 'resnet50', options: cuda({ pinnedMemory: false }), batches: ROWS },
  { name: 'ResNet-50 TF32, NHWC', model: 'resnet50', options: cuda({ preferNhwc: true }), batches: ROWS },
  { name: 'ResNet-50 FP16', model: 'resnet50_fp16', options: cuda(), batches: ROWS },
  {
    name: 'ResNet-50 FP16, NHWC',
    model: 'resnet50_fp16',
    options: cuda({ preferNhwc: true }),
    batches: ROWS,
    rates: LARGE,
  },
  {
    name: 'ResNet-50 FP16, NHWC, launched',
    model: 'resnet50_fp16',
    options: cuda({ preferNhwc: true, graphs: false }),
    batches: ROWS,
  },
]

const quantile = (sorted, q) => sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))]
function summary(times) {
  const sorted = Float64Array.from(times).sort()
  const at = (q) => Math.round(quantile(sorted, q) * 1000) // µs
  return { count: sorted.length, p50: at(0.5), p99: at(0.99), p999: at(0.999), max: at(1) }
}

/** One call after the other for a while: milliseconds each. */
async function sequential(call, seconds = SECONDS) {
  const times = []
  const end = performance.now() + seconds * 1000
  for (let i = 0; performance.now() < end; i++) {
    const start = performance.now()
    await call(i)
    times.push(performance.now() - start)
  }
  return summary(times)
}

/** Requests at exponential gaps, whether answers come or not; latency counts from the moment a request was due. */
async function openLoop(call, rate, seconds = SECONDS) {
  const times = []
  let failed = 0
  let due = performance.now()
  const end = due + seconds * 1000
  const running = new Set()
  let i = 0
  while (due < end) {
    const now = performance.now()
    if (now > end + 1000) break // it cannot even be sent
    if (due > now) {
      await new Promise((resolve) => setImmediate(resolve))
      continue
    }
    const start = due
    const request = call(i++).then(
      () => times.push(performance.now() - start),
      () => failed++,
    )
    running.add(request)
    request.finally(() => running.delete(request))
    due += -Math.log(1 - Math.random()) * (1000 / rate)
  }
  const sent = i
  await Promise.all(running)
  return { rate, achieved: Math.round(sent / seconds), failed, ...summary(times.length ? times : [Number.NaN]) }
}

const SERVING = {
  instance_group: [{ count: 2 }],
  dynamic_batching: { max_queue_delay_microseconds: 500 },
  memoryMb: 512,
}

/** What the stages of the last requests took, µs. */
function stagesOf(model) {
  return Object.fromEntries(
    Object.entries(model.stats().stages).map(([name, { p50, p99 }]) => [
      name,
      { p50: Math.round(p50), p99: Math.round(p99) },
    ]),
  )
}

async function single({ model: name, options }) {
  const model = await load(folderOf(name), { memoryMb: 256, ...options })
  const rows = rowsFor(model, 16)
  for (let i = 0; i < 20; i++) await model.infer(rows[i % 16])
  model.resetStats()
  const infer = await sequential((i) => model.infer(rows[i % 16]))
  const stages = stagesOf(model)
  // A model whose runs are recorded computes on a thread of its own only.
  const graphs = model.metadata['cuda graphs'] ?? ''
  const inferSync = graphs.startsWith('batches') ? undefined : await sequential((i) => model.inferSync(rows[i % 16]))
  const { device = 'cpu', nodes = '' } = model.metadata
  await model.close()
  return { device, nodes, graphs, infer, stages, inferSync }
}

/** PyTorch's answer to the same picture, as far as it is from ours on the CPU: 1 would be no answer at all. */
async function errorOf(logits) {
  const model = await load(folderOf('resnet50'))
  const image = Float32Array.from({ length: 3 * 224 * 224 }, (_, i) => Math.sin(i))
  const { logits: ours } = await model.infer({ image })
  await model.close()
  return relativeError(logits, ours.data)
}

/** Requests that bring many rows at once. */
async function batched({ model: name, options, batches }) {
  const model = await load(folderOf(name), { memoryMb: 512, max_batch_size: 64, ...options })
  const [input] = model.inputs
  const [row] = rowsFor(model, 1)
  const found = []
  for (const rows of batches) {
    const one = row[input.name]
    const data = new Float32Array(one.length * rows)
    for (let i = 0; i < rows; i++) data.set(one, i * one.length)
    const inputs = { [input.name]: { data, shape: [rows, ...input.shape.slice(1)] } }
    for (let i = 0; i < 5; i++) await model.infer(inputs)
    model.resetStats()
    const infer = await sequential(() => model.infer(inputs), SECONDS / 2)
    found.push({ rows, infer, rowsPerSecond: Math.round((rows * 1e6) / infer.p50), stages: stagesOf(model) })
  }
  await model.close()
  return found
}

/** Growing rates until p99 is above the limit; every batch size has run before. */
async function served({ model: name, options, rates }, zeroCopy) {
  const loadStart = performance.now()
  const model = await load(folderOf(name), { max_batch_size: 32, ...SERVING, ...options })
  const [input] = model.inputs
  const rows = rowsFor(model, 16)
  for (let size = 1; size <= 32; size++) {
    const data = new Float32Array(rows[0][input.name].length * size)
    await model.infer({ [input.name]: { data, shape: [size, ...input.shape.slice(1)] } })
  }
  const loadSeconds = (performance.now() - loadStart) / 1000
  const call = zeroCopy
    ? async () => {
        const slot = await model.claim()
        try {
          await slot.submit()
        } finally {
          slot.release()
        }
      }
    : (i) => model.infer(rows[i % 16])
  const found = []
  for (const rate of rates) {
    model.resetStats()
    const step = await openLoop(call, rate)
    const { count, meanSize, meanRows } = model.stats().batches
    found.push({ ...step, batches: count, meanBatch: meanRows ?? meanSize, stages: stagesOf(model) })
    if (!(step.p99 < LIMIT_MS * 1000) || step.failed > 0) break
  }
  await model.close()
  const good = found.filter(
    ({ p99, failed, rate, achieved }) => p99 < LIMIT_MS * 1000 && !failed && achieved > rate * 0.9,
  )
  return { bestRate: good.at(-1)?.rate ?? 0, loadSeconds, steps: found }
}

async function inPyTorch() {
  const { status, stdout, stderr } = spawnSync(
    'python3',
    [at('bench', 'gpu', 'pytorch.py'), at('.cache', 'models'), String(SECONDS)],
    { encoding: 'utf8', timeout: 300_000, maxBuffer: 1 << 26 },
  )
  if (status !== 0) return { missing: `PyTorch did not run: ${stderr.trim().split('\n').at(-1)}` }
  const { logits, ...rest } = JSON.parse(stdout)
  return { ...rest, relativeError: await errorOf(logits) }
}

const asked = process.argv.slice(2)
const found = card()
const out = process.env.SUBTEN_GPU_RESULTS ?? at('bench', 'results')
const results = []
let pytorch
const save = () => {
  const report = { card: found, cpu: `${cpus().length} x ${cpus()[0].model}`, node: process.version, results, pytorch }
  if (found.missing || QUICK || REHEARSAL) return
  mkdirSync(out, { recursive: true })
  writeFileSync(`${out}/gpu.json`, `${JSON.stringify(report, undefined, 1)}\n`)
  writeFileSync(`${out}/gpu.md`, asMarkdown(report))
}
for (const each of CASES) {
  if (asked.length > 0 && !asked.some((text) => each.name.includes(text))) continue
  const reason =
    (each.cpu || REHEARSAL ? undefined : found.missing) ??
    (folderOf(each.model) ? undefined : `the model ${each.model} is not made`)
  if (reason) {
    console.log(`skipped  ${each.name}: ${reason}`)
    results.push({ name: each.name, skipped: reason })
    continue
  }
  const result = { name: each.name }
  results.push(result)
  try {
    Object.assign(result, await single(each))
    if (each.batches) result.batched = await batched(each)
    if (each.rates) {
      result.served = await served(each, false)
      if (each.model === 'resnet50_fp16') result.servedZeroCopy = await served(each, true)
    }
  } catch (error) {
    result.failed = `${error.code ?? error.name}: ${error.message}`
  }
  console.log(JSON.stringify(brief(result)))
  save()
}
if (asked.length === 0 || asked.some((text) => 'PyTorch'.includes(text))) {
  if (found.missing) console.log(`skipped  PyTorch: ${found.missing}`)
  else pytorch = await inPyTorch()
  if (pytorch) console.log(JSON.stringify(pytorch))
  save()
}

function brief({ name, failed, infer, inferSync, batched: many, served: one, servedZeroCopy: zero }) {
  return {
    name,
    ...(failed && { failed }),
    infer: infer && [infer.p50, infer.p99, infer.p999],
    inferSync: inferSync && [inferSync.p50, inferSync.p99],
    rows: many?.map(({ rows, infer: { p50 }, rowsPerSecond }) => [rows, p50, rowsPerSecond]),
    load: one?.loadSeconds,
    best: one?.bestRate,
    bestZeroCopy: zero?.bestRate,
    steps: one?.steps.map(({ rate, p50, p99, meanBatch }) => [rate, p50, p99, meanBatch]),
  }
}
