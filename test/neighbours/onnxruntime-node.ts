// A process in which subten and versions of onnxruntime-node run the same model, loaded in a given order.
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { root } from '../e2e/consumer.js'

/** What a loader answers: the probabilities, or why it could not. */
export type Answer = number[] | { error: string }

const runner = `
  const { join } = require('node:path')
  const image = Float32Array.from({ length: 64 }, (_, i) => (i * 7 % 16) / 16)
  async function answerOf(path) {
    const module = require(path)
    if (module.load) {
      const model = await module.load('models/digits')
      const { probabilities } = await model.infer({ image })
      await model.close()
      return [...probabilities.data]
    }
    const session = await module.InferenceSession.create('models/digits/1/model.onnx')
    const { probabilities } = await session.run({ image: new module.Tensor('float32', image, [1, 1, 8, 8]) })
    const data = [...probabilities.data]
    await session.release()
    return data
  }
  const answers = async (paths) => {
    const all = []
    for (const path of paths) all.push(await answerOf(path).catch(({ message }) => ({ error: message.split('\\n')[0] })))
    return all
  }
`

const program = `
  ${runner}
  const { order, inWorkers } = JSON.parse(process.argv[1])
  const { Worker } = require('node:worker_threads')
  const inWorker = (path) => new Promise((resolve, reject) => {
    const code = ${JSON.stringify(runner)} + "answers([require('node:worker_threads').workerData]).then((all) => require('node:worker_threads').parentPort.postMessage(all[0]))"
    let answer
    new Worker(code, { eval: true, workerData: path })
      .on('message', (message) => { answer = message })
      .on('error', reject)
      .on('exit', (status) => (status === 0 ? resolve(answer) : reject(new Error('a worker ended with ' + status))))
  })
  ;(async () => {
    if (!inWorkers) return answers(order)
    const all = []
    for (const path of order) all.push(await inWorker(path))
    return all
  })().then((all) => console.log(JSON.stringify(all)))
`

export const subten = join(root, 'dist/index.cjs')
export const newest = join(root, 'node_modules/onnxruntime-node')

export function run(
  order: string[],
  { inWorkers = false } = {},
): Promise<{ code: number | null; signal: string | null; stderr: string; answers: Answer[] }> {
  const child = spawn(process.execPath, ['-e', program, JSON.stringify({ order, inWorkers })], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 100_000,
    killSignal: 'SIGKILL',
  })
  let [stdout, stderr] = ['', '']
  child.stdout.on('data', (chunk) => {
    stdout += chunk
  })
  child.stderr.on('data', (chunk) => {
    stderr += chunk
  })
  return new Promise((done) =>
    child.on('close', (code, signal) => done({ code, signal, stderr, answers: stdout ? JSON.parse(stdout) : [] })),
  )
}

/** The largest difference between answers, or what went wrong instead. */
export function difference(answers: readonly Answer[]): number | string {
  const [first, ...rest] = answers
  let largest = 0
  for (const each of [first, ...rest]) {
    if (each === undefined) return 'no answer'
    if ('error' in each) return each.error
    each.forEach((value, i) => {
      largest = Math.max(largest, Math.abs(value - ((first as number[])[i] ?? Number.NaN)))
    })
  }
  return largest
}
