// What does INT8 buy? FP32 beside INT8 in subten, and each beside onnxruntime-node, one request at a time.
import { readFileSync } from 'node:fs'
import { load } from 'subten'
import { at } from '../scripts/step.mjs'
import { checkAgreement, folderOf, inOnnxruntimeNode, inSubten, RESNET_NOTE } from './contenders.mjs'
import { compareClosed, millis, paired, rounds } from './measure.mjs'
import { number, ratioLine } from './report.mjs'

const PAIRS = [
  { fp32: 'digits', int8: 'digits_int8', count: 15, ms: 300, rows: 64 },
  { fp32: 'resnet50', int8: 'resnet50_int8', count: 9, ms: 600, rows: 4, bar: { most: 0.4 } },
]

export default async function measure() {
  const lines = []
  const rows = []
  const notes = [
    'One request at a time, all four in turn in one process. INT8: U8 activations, S8 weights per channel.',
  ]
  const raw = { accuracy: await accuracies() }
  lines.push(accuracyLine(raw.accuracy))
  for (const { fp32, int8, count, ms, rows: length, bar } of PAIRS) {
    if (!folderOf(fp32) || !folderOf(int8)) {
      notes.push(RESNET_NOTE)
      continue
    }
    const calls = {}
    const open = []
    for (const name of [fp32, int8]) {
      const subten = await inSubten(name, {}, length)
      const node = await inOnnxruntimeNode(name, length)
      // An INT8 network may round a value to the next step when its input differs in the last bit.
      await checkAgreement(name, subten, node, name === int8 ? 5e-2 : 1e-3)
      calls[`${name}, subten`] = subten.infer
      calls[`${name}, onnxruntime-node`] = node.run
      open.push(subten, node)
    }
    const found = await compareClosed(calls, { callers: 1, count: rounds(count), ms: millis(ms) })
    Object.assign(raw, found)
    const pair = (name, a, b, asked) =>
      lines.push(ratioLine({ name, ratio: paired(found[a].p50s, found[b].p50s), bar: asked }))
    pair(`${fp32}: p50 of INT8 / of FP32 in subten`, `${int8}, subten`, `${fp32}, subten`, bar)
    for (const name of [fp32, int8]) {
      pair(`${name}: p50 of subten / of onnxruntime-node`, `${name}, subten`, `${name}, onnxruntime-node`)
    }
    for (const [what, row] of Object.entries(found)) rows.push({ what, ...row })
    for (const each of open) await each.close()
  }
  return { question: 'What does INT8 buy?', lines, rows, notes, raw }
}

/** How many of the digits that training never saw each model of the pair gets right. */
async function accuracies() {
  const { labels, images } = JSON.parse(readFileSync(at('test', 'data', 'digits-heldout.json'), 'utf8'))
  const found = { of: labels.length }
  for (const name of ['digits', 'digits_int8']) {
    const model = await load(folderOf(name))
    const [{ name: input }] = model.inputs
    const answers = await model.inferMany(
      images.map((image) => ({ [input]: Float32Array.from(image.flat(), (v) => v / 16) })),
    )
    await model.close()
    found[name] = answers.filter(
      ({ probabilities: { data } }, i) => data.indexOf(Math.max(...data)) === labels[i],
    ).length
  }
  return found
}

function accuracyLine({ of, digits, digits_int8: int8 }) {
  const percent = (right) => `${number((100 * right) / of)}%`
  return `digits: accuracy on ${of} held-out images: FP32 ${percent(digits)} (${digits}), INT8 ${percent(int8)} (${int8})`
}
