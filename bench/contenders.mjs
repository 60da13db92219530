// The models that are measured, by subten, by onnxruntime-node and by a pool of it, as calls without arguments.
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { load } from 'subten'
import { at } from '../scripts/step.mjs'
import { inTurn, randomRows } from './measure.mjs'
import { addon } from './programs.mjs'

const FOLDERS = ['models', '.cache/models']

/** The folder of a model, undefined where it is not there (ResNet-50 is made by scripts/models/make_resnet50.py). */
export const folderOf = (name) => FOLDERS.map((folder) => at(folder, name)).find((path) => existsSync(path))

/** A model in subten with its input's rows and `infer` and `inferSync` as calls. */
export async function inSubten(name, options = {}, rows = 64) {
  const model = await load(folderOf(name), options)
  const [input] = model.inputs
  const length = input.shape.slice(1).reduce((a, b) => a * b, 1)
  const data = randomRows(rows, length, 1)
  const inputs = data.map((row) => ({ [input.name]: row }))
  const next = inTurn(inputs)
  return {
    model,
    data,
    runRow: (i) => model.infer(inputs[i]),
    infer: () => model.infer(next()),
    inferSync: () => model.inferSync(next()),
    close: () => model.close(),
  }
}

/** The same model in onnxruntime-node with its own defaults. The feeds are made beforehand: its calls cost the least. */
export async function inOnnxruntimeNode(name, rows = 64) {
  const { default: ort } = await import('onnxruntime-node')
  const session = await ort.InferenceSession.create(`${folderOf(name)}/1/model.onnx`)
  const [input] = session.inputNames
  const shape = session.inputMetadata[0].shape.map((dim, i) => (i === 0 ? 1 : dim))
  const data = randomRows(
    rows,
    shape.reduce((a, b) => a * b, 1),
    1,
  )
  const feeds = data.map((row) => ({ [input]: new ort.Tensor('float32', row, shape) }))
  const next = inTurn(feeds)
  return {
    data,
    runRow: (i) => session.run(feeds[i]),
    run: () => session.run(next()),
    output: session.outputNames[0],
    close: () => session.release(),
  }
}

/**
 * The same model behind a pool of worker threads, each with a session of onnxruntime-node: what takes a model off the
 * event loop today. A task is the typed array and its shape, and the answer comes back the same way: both are copied.
 */
export async function inPiscina(name, { threads, intraOpNumThreads }, rows = 64) {
  const path = `${folderOf(name)}/1/model.onnx`
  const pool = await newPool(threads, { path, options: intraOpNumThreads ? { intraOpNumThreads } : {} })
  const { input, shape, output } = await pool.run('describe')
  const length = shape.reduce((a, b) => a * b, 1)
  const data = randomRows(rows, length, 1)
  const runRow = (i) => pool.run({ [input]: { data: data[i], shape } })
  const next = inTurn(data.map((_, i) => i))
  const run = () => runRow(next())
  await Promise.all(Array.from({ length: threads * 4 }, run)) // every worker has its session
  return { data, runRow, run, output, close: () => pool.destroy() }
}

async function newPool(threads, workerData) {
  const { Piscina } = await import('piscina')
  const filename = new URL('./piscina-worker.mjs', import.meta.url).href
  return new Piscina({ filename, minThreads: threads, maxThreads: threads, workerData })
}

/** What the null engine does, by a pool of one worker thread. */
export async function echoInPiscina() {
  const pool = await newPool(1, {})
  const next = inTurn(randomRows(64, 64, 1))
  return { run: () => pool.run(next()), close: () => pool.destroy() }
}

/** The same by twenty lines of napi_async_work (bench/native/async_work.cc). */
export function echoInAsyncWork() {
  const { infer } = addon('async_work')
  const next = inTurn(randomRows(64, 64, 1))
  return { run: () => infer(next()) }
}

/** Throws where the two do not answer the same: a comparison of different answers means nothing. */
export async function checkAgreement(name, subten, node, tolerance = 1e-4, who = 'onnxruntime-node') {
  for (let i = 0; i < Math.min(8, subten.data.length); i++) {
    const ours = (await subten.runRow(i))[node.output].data
    const theirs = (await node.runRow(i))[node.output].data
    const off =
      ours.length === theirs.length ? Math.max(...ours.map((value, j) => Math.abs(value - theirs[j]))) : Infinity
    if (!(off <= tolerance)) throw new Error(`${name}: subten and ${who} differ by ${off} in row ${i}`)
  }
}

export const RESNET_NOTE =
  'ResNet-50 was not measured: make it with `python scripts/models/make_resnet50.py` (scripts/models/requirements.txt).'

/** The version of ONNX Runtime in subten. */
export const onnxruntimeVersion = () => createRequire(import.meta.url)('../scripts/onnxruntime.json').version
