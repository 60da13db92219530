// The models that are measured, by subten and by onnxruntime-node, as calls without arguments.
import { existsSync } from 'node:fs'
import { load } from 'subten'
import { at } from '../scripts/step.mjs'
import { inTurn, randomRows } from './measure.mjs'

const FOLDERS = ['models', '.cache/models']

/** The folder of a model, undefined where it is not there (ResNet-50 is made by scripts/models/make_resnet50.py). */
export const folderOf = (name) => FOLDERS.map((folder) => at(folder, name)).find((path) => existsSync(path))

/** A model in subten with its input's rows and `infer` and `inferSync` as calls. */
export async function inSubten(name, options = {}, rows = 64) {
  const model = await load(folderOf(name), options)
  const [input] = model.inputs
  const length = input.shape.slice(1).reduce((a, b) => a * b, 1)
  const data = randomRows(rows, length, 1)
  const next = inTurn(data.map((row) => ({ [input.name]: row })))
  return {
    model,
    data,
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
  const next = inTurn(data.map((row) => ({ [input]: new ort.Tensor('float32', row, shape) })))
  return { data, run: () => session.run(next()), output: session.outputNames[0], close: () => session.release() }
}

/** Throws where the two do not answer the same: a comparison of different answers means nothing. */
export async function checkAgreement(name, subten, node, tolerance = 1e-4) {
  for (let i = 0; i < Math.min(8, subten.data.length); i++) {
    const ours = (await subten.infer())[node.output].data
    const theirs = (await node.run())[node.output].data
    const off =
      ours.length === theirs.length ? Math.max(...ours.map((value, j) => Math.abs(value - theirs[j]))) : Infinity
    if (!(off <= tolerance)) throw new Error(`${name}: subten and onnxruntime-node differ by ${off} in row ${i}`)
  }
}

export const RESNET_NOTE =
  'ResNet-50 was not measured: make it with `python scripts/models/make_resnet50.py` (scripts/models/requirements.txt).'
