// A model that takes pictures and computes almost nothing: the mean of each channel.
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

// The fields of ONNX that it needs, in protobuf's wire format.
const varint = (value) => (value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(Math.floor(value / 0x80))])
const number = (field, value) => Buffer.from([...varint(field << 3), ...varint(value)])
const bytes = (field, ...parts) => {
  const content = Buffer.concat(parts.map((part) => Buffer.from(part)))
  return Buffer.concat([Buffer.from([...varint((field << 3) | 2), ...varint(content.length)]), content])
}

function onnx(side) {
  const size = (dim) => bytes(1, typeof dim === 'string' ? bytes(2, dim) : number(1, dim))
  const tensor = (name, dims) =>
    Buffer.concat([bytes(1, name), bytes(2, bytes(1, number(1, 1), bytes(2, ...dims.map(size))))])
  const node = (operator, from, to) => bytes(1, bytes(1, from), bytes(2, to), bytes(4, operator))
  const graph = bytes(
    7,
    node('GlobalAveragePool', 'image', 'pooled'),
    node('Flatten', 'pooled', 'scores'),
    bytes(2, 'mean'),
    bytes(11, tensor('image', ['n', 3, side, side])),
    bytes(12, tensor('scores', ['n', 3])),
  )
  return Buffer.concat([number(1, 8), graph, bytes(8, number(2, 17))])
}

/** Its folder, with this preprocessing. */
export function meanModel(side, preprocess) {
  const folder = join(mkdtempSync(join(tmpdir(), 'subten-bench-')), 'mean')
  mkdirSync(join(folder, '1'), { recursive: true })
  writeFileSync(join(folder, '1', 'model.onnx'), onnx(side))
  const block = JSON.stringify(JSON.stringify(preprocess))
  writeFileSync(
    join(folder, 'config.pbtxt'),
    `backend: "onnxruntime"
max_batch_size: 8
input [ { name: "image" data_type: TYPE_FP32 dims: [ 3, ${side}, ${side} ] } ]
output [ { name: "scores" data_type: TYPE_FP32 dims: [ 3 ] } ]
dynamic_batching { }
parameters { key: "subten.preprocess" value { string_value: ${block} } }
`,
  )
  return folder
}
