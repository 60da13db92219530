// A Next.js application with subten from its tarballs: built as a standalone server, carried away, started, asked.
import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { root } from '../e2e/consumer.js'
import { npm } from '../neighbours/packages.js'
import { barePath, command } from './consumer.js'
import { folder as packages, tarballs } from './registry.js'

const fixture = resolve(import.meta.dirname, 'next')
const folder = mkdtempSync(join(tmpdir(), 'subten-next-'))
const bin = barePath(folder)
const away = join(folder, 'away')
let server: ChildProcess | undefined

beforeAll(async () => {
  const app = join(folder, 'app')
  cpSync(installed(), app, { recursive: true, verbatimSymlinks: true })
  for (const part of ['app', 'next.config.mjs']) cpSync(join(fixture, part), join(app, part), { recursive: true })
  const files = tarballs.map((name) => join(packages, name))
  await command(bin, app, 'npm', 'install', '--no-save', '--ignore-scripts', '--no-audit', '--no-fund', ...files)
  process.env.NEXT_TELEMETRY_DISABLED = '1'
  await command(bin, app, 'node', 'node_modules/next/dist/bin/next', 'build')
  renameSync(join(app, '.next/standalone'), away)
  rmSync(app, { recursive: true })
})
afterAll(async () => {
  if (server && server.exitCode === null) {
    const gone = new Promise((exited) => server?.once('exit', exited))
    server.kill('SIGKILL')
    await gone
  }
  rmSync(folder, { recursive: true, force: true })
})

/** The packages of the fixture's lockfile, installed once. */
function installed(): string {
  const lock = readFileSync(join(fixture, 'package-lock.json'))
  const place = join(root, '.cache/next', createHash('sha256').update(lock).digest('hex').slice(0, 16))
  if (existsSync(place)) return place
  const fresh = `${place}.${process.pid}`
  mkdirSync(fresh, { recursive: true })
  for (const file of ['package.json', 'package-lock.json']) cpSync(join(fixture, file), join(fresh, file))
  npm(fresh, 'ci', '--ignore-scripts')
  renameSync(fresh, place)
  return place
}

it('its standalone server has the binaries, and infers in a route', async () => {
  server = spawn(join(bin, 'node'), ['server.js'], {
    cwd: away,
    env: { PATH: bin, PORT: '0', HOSTNAME: '127.0.0.1', DIGITS: join(root, 'models/digits') },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const port = await new Promise<string>((found, failed) => {
    let text = ''
    for (const stream of [server?.stdout, server?.stderr]) {
      stream?.on('data', (chunk) => {
        text += chunk
        const match = /Local: +http:\/\/(?:127\.0\.0\.1|localhost):(\d+)/.exec(text)
        if (match) found(match[1] as string)
      })
    }
    server?.once('exit', () => failed(new Error(text)))
  })
  const answer = await fetch(`http://127.0.0.1:${port}/api/digits`)
  expect(answer.status).toBe(200)
  const { classes, binaries } = (await answer.json()) as { classes: number; binaries: string[] }
  expect(classes).toBe(10)
  const home = realpathSync(away)
  expect(binaries.sort()).toEqual([
    `${home}/node_modules/@subten/onnxruntime-linux-x64/lib/libsubten_onnxruntime.so.1`,
    `${home}/node_modules/subten/prebuilds/linux-x64/subten.glibc.node`,
  ])
})
