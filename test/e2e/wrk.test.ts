import { execFile, execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { promisify } from 'node:util'
import { Worker } from 'node:worker_threads'
import { describe, expect, it } from 'vitest'
import { profile } from '../../src/profile/profile.js'

const CONNECTIONS = 8
const ANSWER_MS = 100
const SECONDS = 3

/** Answers every request after the same time, on a thread that does nothing else. */
const SERVER = `
const { createServer } = require('node:http')
const { parentPort } = require('node:worker_threads')
const server = createServer((request, response) => {
  request.resume()
  setTimeout(() => response.end('{}'), ${ANSWER_MS})
})
server.listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port))
`

const hasWrk = (() => {
  try {
    // It prints its version and ends with 1.
    execFileSync('wrk', ['--version'], { stdio: 'ignore' })
    return true
  } catch (error) {
    return (error as { status?: number | null }).status === 1
  }
})()

describe('the load generator beside wrk', () => {
  it.skipIf(!hasWrk)('finds the same rate and median of a server that takes constant time', async () => {
    const server = new Worker(SERVER, { eval: true })
    try {
      const [port] = (await once(server, 'message')) as [number]
      const url = `http://127.0.0.1:${port}`
      const args = ['-t', '1', '-c', String(CONNECTIONS), '-d', `${SECONDS}s`, '--latency', `${url}/v1/classify/any`]
      const { stdout } = await promisify(execFile)('wrk', args)
      const rate = Number(/^Requests\/sec:\s+([\d.]+)/m.exec(stdout)?.[1])
      const [, median, unit] = /50%\s+([\d.]+)(us|ms|s)/.exec(stdout) ?? []
      const medianMs = Number(median) * ({ us: 1e-3, ms: 1, s: 1000 }[unit ?? ''] ?? Number.NaN)

      const target = { url, protocol: 'classify', model: 'any', image: Buffer.from('x') } as const
      const load = { kind: 'closed', concurrency: CONNECTIONS } as const
      const run = await profile(target, { load, seconds: SECONDS, warmup: 0.5 })

      // Both are bound by the server's timer: how fast the machine is hardly counts.
      expect(run.throughput / rate).toBeGreaterThan(0.8)
      expect(run.throughput / rate).toBeLessThan(1.25)
      expect((run.latencyUs.p50 as { value: number }).value / 1000 / medianMs).toBeGreaterThan(0.8)
      expect((run.latencyUs.p50 as { value: number }).value / 1000 / medianMs).toBeLessThan(1.25)
    } finally {
      await server.terminate()
    }
  })
})
