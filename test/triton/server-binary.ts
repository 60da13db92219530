import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createServer } from 'node:net'
import { resolve } from 'node:path'

// Triton's own server program, as `npm run triton:install` lays it out: the reference that tests compare subten with.

const tree = resolve(import.meta.dirname, '../../.cache/triton')

/** Whether the server program is there. Tests that need it: `describe.skipIf(!tritonInstalled)`. */
export const tritonInstalled = existsSync(`${tree}/bin/tritonserver`)

/** The repository of the models that only Triton serves. */
export const tritonModels = resolve(import.meta.dirname, '../../models')

export interface ServerBinary {
  /** `http://127.0.0.1:port`. */
  readonly http: string
  /** `127.0.0.1:port`. */
  readonly grpc: string
  /** `http://127.0.0.1:port/metrics`. */
  readonly metrics: string
  readonly pid: number
  /** What it has printed so far. */
  log(): string
  /** Ends it, by force after 10 s, and resolves when it is gone. */
  stop(): Promise<void>
}

export interface ServerBinaryOptions {
  /** The models to load; without it all of the repository. */
  readonly models?: readonly string[]
  /** More arguments for the program. */
  readonly args?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  readonly readyTimeoutMs?: number
}

/** Starts the program on free ports of 127.0.0.1 and resolves when it is ready; rejects with its output otherwise. */
export async function startServerBinary(
  repository: string,
  { models, args = [], env = {}, readyTimeoutMs = 60_000 }: ServerBinaryOptions = {},
): Promise<ServerBinary> {
  const [http = 0, grpc = 0, metrics = 0] = await freePorts(3)
  const child = spawn(
    `${tree}/bin/tritonserver`,
    [
      `--model-repository=${repository}`,
      `--backend-directory=${tree}/backends`,
      `--cache-directory=${tree}/caches`,
      '--http-address=127.0.0.1',
      `--http-port=${http}`,
      '--grpc-address=127.0.0.1',
      `--grpc-port=${grpc}`,
      '--metrics-address=127.0.0.1',
      `--metrics-port=${metrics}`,
      '--exit-timeout-secs=5',
      ...(models ? ['--model-control-mode=explicit', ...models.map((model) => `--load-model=${model}`)] : []),
      ...args,
    ],
    { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env, LD_LIBRARY_PATH: `${tree}/lib` } },
  )
  let log = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      log = (log + chunk).slice(-200_000)
    })
  }
  const killed = () => void child.kill('SIGKILL')
  process.once('exit', killed)
  const gone = new Promise<string>((done) => {
    child.once('error', (error) => done(error.message))
    child.once('close', (code, signal) => done(`it ended with ${signal ?? code}`))
  }).finally(() => process.off('exit', killed))
  const stop = () => stopped(child, gone)

  try {
    await ready(`http://127.0.0.1:${http}/v2/health/ready`, gone, readyTimeoutMs)
  } catch (error) {
    await stop()
    throw new Error(`tritonserver is not ready: ${(error as Error).message}\n${log.slice(-4000)}`)
  }
  return {
    http: `http://127.0.0.1:${http}`,
    grpc: `127.0.0.1:${grpc}`,
    metrics: `http://127.0.0.1:${metrics}/metrics`,
    pid: child.pid ?? 0,
    log: () => log,
    stop,
  }
}

async function ready(url: string, gone: Promise<string>, timeoutMs: number): Promise<void> {
  const end = Date.now() + timeoutMs
  let ended: string | undefined
  void gone.then((why) => {
    ended = why
  })
  while (Date.now() < end) {
    if (ended !== undefined) throw new Error(ended)
    const ok = await fetch(url).then(
      (response) => response.ok,
      () => false,
    )
    if (ok) return
    await new Promise((next) => setTimeout(next, 50))
  }
  throw new Error(`not within ${timeoutMs} ms`)
}

async function stopped(child: ChildProcess, gone: Promise<string>): Promise<void> {
  child.kill('SIGTERM')
  const force = setTimeout(() => child.kill('SIGKILL'), 10_000)
  await gone
  clearTimeout(force)
}

/** Ports that were free a moment ago, all different: held together, then let go. */
async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise<ReturnType<typeof createServer>>((done, fail) => {
          const server = createServer()
          server.once('error', fail).listen(0, '127.0.0.1', () => done(server))
        }),
    ),
  )
  const ports = servers.map((server) => (server.address() as { port: number }).port)
  await Promise.all(servers.map((server) => new Promise((done) => server.close(done))))
  return ports
}
