// `subten serve` in a process of its own, as a user starts it, on a free port.
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { at, StepError } from '../step.mjs'

/** Resolves to `{ url, stop, cpuMs }` when the server listens; `cpuMs()`: its processor time, undefined where Linux is not. */
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
      if (url) resolve({ url, stop, cpuMs: () => cpuMs(server.pid) })
    })
    server.once('error', reject)
    server.once('exit', (code) => reject(new StepError(`the server ended with ${code}: ${errors || printed}`)))
  })
}

/** User and system time of a process: fields 14 and 15 of proc(5), in ticks of 10 ms. */
function cpuMs(pid) {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ')
    return 10 * (Number(fields[11]) + Number(fields[12]))
  } catch {
    return undefined
  }
}
