import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { root } from './server-process.js'

/** Where `npm run triton:install` keeps a Triton. */
export const triton = join(root, '.cache/triton')
export const tritonThere = existsSync(join(triton, 'bin/tritonserver'))

/** A tensor in the JSON form of the KServe protocol. */
export interface Tensor {
  name: string
  datatype: string
  shape: number[]
  data: unknown[]
}
export interface Answer {
  status: number
  error?: string
  outputs: Tensor[]
}
export interface State {
  name: string
  state: string
  reason: string
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })
}

/** The real server in a process of its own. */
export class TritonProcess {
  private constructor(
    readonly url: string,
    readonly child: ChildProcess,
    private readonly ended: Promise<number | null>,
    readonly log: () => string,
  ) {}

  /** On a free port, when it is live; models that fail to load do not end it. */
  static async start(repository: string, ...args: string[]): Promise<TritonProcess> {
    const port = await freePort()
    const child = spawn(
      join(triton, 'bin/tritonserver'),
      [
        ...['--model-repository', repository, '--backend-directory', join(triton, 'backends')],
        ...['--http-address', '127.0.0.1', '--http-port', String(port), '--allow-grpc=false', '--allow-metrics=false'],
        ...['--exit-on-error=false', ...args],
      ],
      { env: { ...process.env, LD_LIBRARY_PATH: join(triton, 'lib') }, stdio: ['ignore', 'pipe', 'pipe'] },
    )
    let log = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk) => {
        log += chunk
      })
    }
    const ended = new Promise<number | null>((resolve) => child.once('exit', resolve))
    const server = new TritonProcess(`http://127.0.0.1:${port}`, child, ended, () => log)
    for (const until = Date.now() + 30_000; Date.now() < until; ) {
      if (child.exitCode !== null) break
      const live = await fetch(`${server.url}/v2/health/live`).catch(() => undefined)
      if (live?.ok) return server
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    child.kill('SIGKILL')
    throw new Error(`tritonserver did not start: ${log.slice(-2000)}`)
  }

  /** Resolves to the exit code. */
  async stop(): Promise<number | null> {
    this.child.kill('SIGTERM')
    const timer = setTimeout(() => this.child.kill('SIGKILL'), 20_000)
    const code = await this.ended
    clearTimeout(timer)
    return code
  }

  // biome-ignore lint/suspicious/noExplicitAny: bodies of any shape
  async get(path: string): Promise<any> {
    return (await fetch(`${this.url}/v2/${path}`)).json()
  }

  async index(): Promise<State[]> {
    const response = await fetch(`${this.url}/v2/repository/index`, { method: 'POST' })
    return (await response.json()) as State[]
  }

  async infer(model: string, inputs: Tensor[], outputs?: string[]): Promise<Answer> {
    const response = await fetch(`${this.url}/v2/models/${model}/infer`, {
      method: 'POST',
      body: JSON.stringify({ inputs, outputs: outputs?.map((name) => ({ name })) }),
    })
    return { outputs: [], status: response.status, ...((await response.json()) as object) }
  }

  /** One FP32 input and the one output's bytes, by the binary extension of the protocol. */
  async inferBytes(model: string, input: string, shape: number[], data: Float32Array, output: string): Promise<Buffer> {
    const raw = Buffer.from(data.buffer, data.byteOffset, data.byteLength)
    const header = JSON.stringify({
      inputs: [{ name: input, datatype: 'FP32', shape, parameters: { binary_data_size: raw.length } }],
      outputs: [{ name: output, parameters: { binary_data: true } }],
    })
    const response = await fetch(`${this.url}/v2/models/${model}/infer`, {
      method: 'POST',
      headers: { 'inference-header-content-length': String(Buffer.byteLength(header)) },
      body: Buffer.concat([Buffer.from(header), raw]),
    })
    const body = Buffer.from(await response.arrayBuffer())
    return body.subarray(Number(response.headers.get('inference-header-content-length')))
  }
}
