// The `tritonserver` binary that `npm run triton:install` unpacks, on loopback, and two clients of it: what one would use
// from Node without subten. And the model repository that it and the engine triton serve.
import { spawn } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import grpc from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'
import { Pool } from 'undici'
import { at } from '../scripts/step.mjs'

const TREE = at('.cache/triton')
/** Where the native build leaves our backends. */
export const BACKENDS = at('build/Release/triton-backends')
export const LIBRARY = join(TREE, 'lib', 'libtritonserver.so')
export const isInstalled = () => existsSync(LIBRARY) && existsSync(join(BACKENDS, 'subten_identity'))

/** Our backend's ONNX Runtime, for the binary and for this process: the one that subten has. */
process.env.SUBTEN_ONNXRUNTIME_LIBRARY ??= at('npm/onnxruntime-linux-x64/lib/libsubten_onnxruntime.so.1')

/** A repository with `identity` (echoes FP32 [64]) and, where the backend for it is there, `digits_triton`. */
export function makeRepository() {
  const folder = mkdtempSync(join(tmpdir(), 'subten-bench-triton-'))
  const add = (name, config) => {
    mkdirSync(join(folder, name, '1'), { recursive: true })
    writeFileSync(join(folder, name, 'config.pbtxt'), config)
  }
  add(
    'identity',
    `backend: "subten_identity"
max_batch_size: 64
dynamic_batching { }
input [ { name: "INPUT0" data_type: TYPE_FP32 dims: [ 64 ] } ]
output [ { name: "OUTPUT0" data_type: TYPE_FP32 dims: [ 64 ] } ]
instance_group [ { count: 1 kind: KIND_CPU } ]
`,
  )
  add(
    'identity_alone',
    `backend: "subten_identity"
max_batch_size: 64
input [ { name: "INPUT0" data_type: TYPE_FP32 dims: [ 64 ] } ]
output [ { name: "OUTPUT0" data_type: TYPE_FP32 dims: [ 64 ] } ]
instance_group [ { count: 1 kind: KIND_CPU } ]
`,
  )
  const digits = at('models', 'digits_triton')
  if (existsSync(join(BACKENDS, 'subten_onnxruntime'))) {
    cpSync(digits, join(folder, 'digits_triton'), { recursive: true })
  }
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) }
}

async function freePort() {
  const server = net.createServer()
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address()
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** Starts the binary and waits until it is ready. */
export async function startServer(repository) {
  const [http, rpc] = [await freePort(), await freePort()]
  const args = [
    `--model-repository=${repository}`,
    `--backend-directory=${BACKENDS}`,
    '--http-address=127.0.0.1',
    `--http-port=${http}`,
    '--grpc-address=127.0.0.1',
    `--grpc-port=${rpc}`,
    '--allow-metrics=false',
    '--log-error=false',
    '--log-info=false',
    '--log-warning=false',
  ]
  const env = { ...process.env, LD_LIBRARY_PATH: join(TREE, 'lib') }
  const child = spawn(join(TREE, 'bin', 'tritonserver'), args, { stdio: 'ignore', env })
  const stop = () => child.kill('SIGKILL')
  process.once('exit', stop)
  for (const until = Date.now() + 30_000; Date.now() < until; ) {
    try {
      const response = await fetch(`http://127.0.0.1:${http}/v2/health/ready`)
      if (response.ok) return { http, rpc, pid: child.pid, stop }
    } catch {}
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  stop()
  throw new Error('the tritonserver binary did not become ready within 30 s')
}

/** KServe v2 over HTTP with binary tensors: one function a call, a Float32Array back. */
export function httpClient(port, { model, input, connections = 64 }) {
  const pool = new Pool(`http://127.0.0.1:${port}`, { connections, pipelining: 1 })
  const call = async (row) => {
    const head = Buffer.from(
      JSON.stringify({
        inputs: [
          { name: input, datatype: 'FP32', shape: [1, row.length], parameters: { binary_data_size: row.byteLength } },
        ],
        parameters: { binary_data_output: true },
      }),
    )
    const body = Buffer.concat([head, Buffer.from(row.buffer, row.byteOffset, row.byteLength)])
    const response = await pool.request({
      path: `/v2/models/${model}/infer`,
      method: 'POST',
      headers: { 'inference-header-content-length': String(head.length), 'content-type': 'application/octet-stream' },
      body,
    })
    const bytes = Buffer.from(await response.body.arrayBuffer())
    if (response.statusCode !== 200) throw new Error(bytes.toString())
    const skip = Number(response.headers['inference-header-content-length'])
    return new Float32Array(bytes.buffer.slice(bytes.byteOffset + skip, bytes.byteOffset + bytes.length))
  }
  return { call, close: () => pool.close() }
}

/** KServe v2 over gRPC with raw tensors. */
export function grpcClient(port, { model, input }) {
  const definition = loadSync(at('bench', 'kserve.proto'), { keepCase: true, longs: Number })
  const { GRPCInferenceService } = grpc.loadPackageDefinition(definition).inference
  const client = new GRPCInferenceService(`127.0.0.1:${port}`, grpc.credentials.createInsecure())
  const call = (row) =>
    new Promise((resolve, reject) => {
      const request = {
        model_name: model,
        inputs: [{ name: input, datatype: 'FP32', shape: [1, row.length] }],
        raw_input_contents: [Buffer.from(row.buffer, row.byteOffset, row.byteLength)],
      }
      client.ModelInfer(request, (error, response) => {
        if (error) return reject(error)
        const [bytes] = response.raw_output_contents
        resolve(new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length)))
      })
    })
  return { call, close: () => client.close() }
}
