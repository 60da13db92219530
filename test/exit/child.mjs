import { spawn } from 'node:child_process'

/** What children begin with: the built package, and an echo model whose engine burns `ms` on each batch. */
const prelude = `
  import * as subten from './dist/index.js'
  import { setTimeout as sleep } from 'node:timers/promises'
  import { Worker } from 'node:worker_threads'
  const { load, attach } = subten
  const row = (value) => ({ input: new Float32Array(64).fill(value) })
  const slowEcho = (ms, options) => load('models/echo', { ...options, parameters: { busy_us: ms * 1000 } })
  const inWorker = (code, workerData) => new Worker(code, { eval: true, workerData, execArgv: [] })
  const slowOnnx = async (turns) => {
    const model = await load('test/data/onnx/slow.onnx')
    const inputs = { x: new Float32Array(4).fill(0.5), turns: BigInt64Array.of(turns) }
    return { model, run: () => model.infer(inputs) }
  }
`

/** Runs an ES module in a Node of its own, on the built package. Killed (SIGKILL) when it takes too long. */
export function runChild(code, options = {}) {
  const { args = [], env = {}, timeoutMs = 20_000, onOutput } = options
  const child = spawn(process.execPath, [...args, '--input-type=module', '-e', prelude + code], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
  })
  let [stdout, stderr] = ['', '']
  child.stdout.on('data', (chunk) => {
    stdout += chunk
    onOutput?.(stdout, (signal) => child.kill(signal))
  })
  child.stderr.on('data', (chunk) => {
    stderr += chunk
  })
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }))
  })
}
