// `subten serve` in a process of its own, as a user starts it, on a free port.
import { spawn } from 'node:child_process'
import { at, StepError } from '../step.mjs'

/** Resolves to `{ url, stop }` when the server listens. */
export function startServer(models, more = []) {
  const args = [at('dist', 'cli.js'), 'serve', '--models', models, '--http-port', '0', '--json', ...more]
  const server = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const ended = new Promise((resolve) => server.once('exit', resolve))
  process.once('exit', () => server.kill())
  const stop = async () => {
    server.kill('SIGTERM')
    await ended
  }
  return new Promise((resolve, reject) => {
    let printed = ''
    let errors = ''
    server.stderr.on('data', (chunk) => {
      errors = (errors + chunk).slice(-4000)
    })
    server.stdout.on('data', (chunk) => {
      printed += chunk
      const url = /"(http:\/\/[^"]+)"/.exec(printed)?.[1]
      if (url) resolve({ url, stop })
    })
    server.once('error', reject)
    server.once('exit', (code) => reject(new StepError(`the server ended with ${code}: ${errors || printed}`)))
  })
}
