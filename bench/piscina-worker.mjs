// A worker of contenders.mjs' pools: one session of onnxruntime-node, and tasks as users write them; or no model at all.
import { workerData } from 'node:worker_threads'

const ort = workerData.path ? (await import('onnxruntime-node')).default : undefined
const session = await ort?.InferenceSession.create(workerData.path, workerData.options)

export default async function run(inputs) {
  if (!session) return inputs
  if (inputs === 'describe') return describe()
  const feeds = {}
  for (const [name, { data, shape }] of Object.entries(inputs)) feeds[name] = new ort.Tensor('float32', data, shape)
  const outputs = await session.run(feeds)
  const answer = {}
  for (const [name, { data, dims }] of Object.entries(outputs)) answer[name] = { data, dims }
  return answer
}

function describe() {
  const shape = session.inputMetadata[0].shape.map((dim, i) => (i === 0 ? 1 : dim))
  return { input: session.inputNames[0], shape, output: session.outputNames[0] }
}
