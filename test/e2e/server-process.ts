import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('../../', import.meta.url))

export interface ServerProcess {
  readonly url: string
  readonly child: ChildProcess
  /** What it has printed so far on standard output. */
  output(): string
  /** And on standard error. */
  errors(): string
  /** Sends a signal and resolves to the exit code. */
  end(signal?: NodeJS.Signals): Promise<number | null>
}

/** `subten serve` from dist, on a free port, when it has printed where it listens. */
export async function startServer(...args: string[]): Promise<ServerProcess> {
  const child = spawn(process.execPath, ['dist/cli.js', 'serve', '--http-port', '0', ...args], { cwd: root })
  let out = ''
  let err = ''
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve))
  child.stderr.on('data', (chunk) => {
    err += chunk
  })
  const url = await new Promise<string>((resolve, reject) => {
    child.stdout.on('data', (chunk) => {
      out += chunk
      const [, address] = /Draw a digit: (http:\/\/\S+)\//.exec(out) ?? []
      if (address) resolve(address)
    })
    exited.then((code) => reject(new Error(`serve ended with ${code}: ${err}`)))
  })
  return {
    url,
    child,
    output: () => out,
    errors: () => err,
    end: (signal = 'SIGTERM') => {
      child.kill(signal)
      return exited
    },
  }
}
