import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { root } from './server-process.js'

interface Ran {
  code: number
  stdout: string
  stderr: string
}

function subten(...args: string[]): Promise<Ran> {
  return new Promise((resolve) => {
    execFile(process.execPath, ['dist/cli.js', ...args], { cwd: root }, (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code) : 0, stdout, stderr })
    })
  })
}

describe('the command line, from dist', () => {
  it('infer reads a seven', async () => {
    const ran = await subten('infer', 'models/digits', '--image', 'test/data/seven.png', '--format', 'json')
    expect(ran).toMatchObject({ code: 0, stderr: '' })
    expect(JSON.parse(ran.stdout).top[0]).toMatchObject({ label: '7', index: 7 })
  })

  it('leaves no files of usage telemetry behind', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'subten-quiet-'))
    try {
      const env = { ...process.env, TMPDIR: folder }
      const args = ['dist/cli.js', 'inspect', 'models/digits', '--json']
      await promisify(execFile)(process.execPath, args, { cwd: root, env })
      expect(readdirSync(folder)).toEqual([])
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  it('inspect shows a model', async () => {
    const ran = await subten('inspect', 'models/digits', '--json')
    expect(JSON.parse(ran.stdout)).toMatchObject({ name: 'digits', engine: 'onnxruntime' })
  })

  it('bench prints a stage table', async () => {
    const ran = await subten('bench', 'models/echo', '--concurrency', '8', '--duration', '0.3', '--warmup', '0.1')
    expect(ran.code).toBe(0)
    expect(ran.stdout).toMatch(/queue(\s+[\d.]+){5}/)
  })

  it('bench measures in processes of their own, with seeds of their own', async () => {
    const flags = ['--rate', '200', '--duration', '0.3', '--warmup', '0', '--late-bound', '60s', '--seed', '3']
    const ran = await subten('bench', 'models/echo', ...flags, '--processes', '2', '--json')
    expect(ran.code).toBe(0)
    const { seed, runs, repeated } = JSON.parse(ran.stdout)
    expect(repeated).toMatchObject({ processes: 2, invalid: 0, valid: true })
    expect(repeated.figures.map(({ what }: { what: string }) => what)).toContain('p50, Poisson 200/s')
    const seeds = runs.map(({ load }: { load: { seed: number } }) => load.seed)
    expect(new Set([seed, ...seeds]).size).toBe(3)
  }, 60_000)

  it('doctor finds the default engine', async () => {
    const ran = await subten('doctor', '--json')
    expect(ran.code).toBe(0)
    const engines = JSON.parse(ran.stdout).engines
    expect(engines.find((e: { name: string }) => e.name === 'onnxruntime')).toMatchObject({ available: true })
  })

  it('types declares the tensors of the repository', async () => {
    const ran = await subten('types', 'models')
    expect(ran.stdout).toContain("'models/digits': {")
  })

  it('explain needs no engine, and a model that is not there is a plain error', async () => {
    expect(await subten('explain', 'QUEUE_FULL')).toMatchObject({ code: 0 })
    const ran = await subten('inspect', 'models/absent')
    expect(ran).toMatchObject({ code: 1, stderr: expect.stringMatching(/^MODEL_NOT_FOUND: /) })
    expect(ran.stderr).not.toMatch(/\n\s+at /)
    expect((await subten('explain', 'NONSENSE')).code).toBe(2)
  })
})
