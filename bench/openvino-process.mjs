// One contender of bench/openvino.mjs, in a process of its own, since a process has one ONNX Runtime. Loads a model and
// answers `{ calls }` with the microseconds of that many requests, one after another.
import { load } from 'subten'
import { randomRows } from './measure.mjs'

const { folder, rows, options } = JSON.parse(process.argv[2])
const begun = performance.now()
const model = await load(folder, options)
const loadMs = performance.now() - begun
const [input] = model.inputs
const shape = [rows, ...input.shape.slice(1)]
const length = shape.reduce((a, b) => a * b, 1)
const requests = randomRows(4, length, 1).map((data) => ({ [input.name]: { data, shape } }))
const first = await model.infer(requests[0])
const answer = Array.from(first[model.outputs[0].name].data)

process.on('message', async ({ calls }) => {
  if (calls === 0) {
    await model.close()
    process.disconnect()
    return
  }
  const us = []
  for (let i = 0; i < calls; i++) {
    const start = performance.now()
    await model.infer(requests[i % requests.length])
    us.push((performance.now() - start) * 1000)
  }
  process.send({ us })
})
process.send({ answer, loadMs, device: model.metadata.device ?? 'ONNX Runtime', nodes: model.metadata.nodes })
