import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { load } from '../../src/index.js'
import { root } from './server-process.js'

const CONFIG = `name: "busy"
backend: "subten_null"
max_batch_size: 8
input [ { name: "x" data_type: TYPE_FP32 dims: [ 4 ] } ]
output [ { name: "y" data_type: TYPE_FP32 dims: [ 4 ] } ]
dynamic_batching { }
parameters { key: "busy_us" value: { string_value: "1500" } }
`

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'subten-optimize-'))
  mkdirSync(join(folder, 'busy', '1'), { recursive: true })
  writeFileSync(join(folder, 'busy', 'config.pbtxt'), CONFIG)
})
afterAll(() => rmSync(folder, { recursive: true }))

const journal = () => {
  const file = join(folder, 'out', 'state', 'journal.jsonl')
  return existsSync(file) ? readFileSync(file, 'utf8').split('\n').slice(0, -1) : []
}
const names = () =>
  journal()
    .slice(1)
    .map((line) => (JSON.parse(line) as { name: string }).name)

/** `subten optimize`, in a process of its own; one setting, two measurements, and two that verify it. */
function start(more: readonly string[] = []) {
  const args = [
    '--slo',
    'p99=100ms',
    '--batch',
    '1',
    '--delay',
    'off',
    '--instances',
    '1',
    '--seconds',
    '1',
    '--repeats',
    '2',
  ]
  const child = spawn(process.execPath, [
    join(root, 'dist/cli.js'),
    'optimize',
    join(folder, 'busy'),
    ...args,
    '--out',
    join(folder, 'out'),
    ...more,
  ])
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
  })
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
  })
  const ended = new Promise<{ code: number | null; signal: string | null; text: string }>((resolve) => {
    child.on('close', (code, signal) => resolve({ code, signal, text }))
  })
  return { child, ended }
}

const children = ({ pid }: ChildProcess): number[] =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number)
const alive = (pid: number): boolean =>
  existsSync(`/proc/${pid}/cmdline`) && readFileSync(`/proc/${pid}/cmdline`).length > 0

describe('subten optimize', { timeout: 120_000 }, () => {
  it('killed, then interrupted, goes on, repeats no measurement, and writes what it chose', async () => {
    const first = start()
    await expect.poll(() => names().length, { timeout: 40_000, interval: 50 }).toBe(1)
    await expect.poll(() => children(first.child).length, { timeout: 10_000, interval: 20 }).toBe(1)
    const orphans = children(first.child)
    first.child.kill('SIGKILL')
    expect(await first.ended).toMatchObject({ signal: 'SIGKILL' })
    await expect.poll(() => orphans.filter(alive), { timeout: 10_000 }).toEqual([])
    const kept = journal()

    const second = start(['--resume'])
    await expect.poll(() => names().length, { timeout: 40_000, interval: 50 }).toBe(2)
    const stopped = children(second.child)
    second.child.kill('SIGINT')
    const interrupted = await second.ended
    expect(interrupted.code).toBe(130)
    expect(interrupted.text).toContain('1 measurement of before')
    expect(interrupted.text).toContain('the same command goes on')
    expect(stopped.filter(alive)).toEqual([])

    const third = await start().ended
    expect(third.text).toContain('2 measurements of before')
    expect(third.code).toBe(0)
    expect(journal().slice(0, kept.length)).toEqual(kept)
    expect(names()).toHaveLength(4)
    expect(new Set(names()).size).toBe(4)

    const report = JSON.parse(readFileSync(join(folder, 'out', 'report.json'), 'utf8'))
    expect(report).toMatchObject({ schema: 'subten.optimize/1', model: 'busy', search: { resumed: 2 } })
    const html = readFileSync(join(folder, 'out', 'report.html'), 'utf8')
    expect(html).toContain('Throughput and latency by batching')
    expect(readFileSync(join(folder, 'out', 'report.md'), 'utf8')).toMatch(/^# busy: p99 within 100 ms/)

    const { batching } = report.recommendation.candidate
    writeFileSync(join(folder, 'busy', 'config.pbtxt'), readFileSync(join(folder, 'out', 'config.pbtxt')))
    await using model = await load(join(folder, 'busy'))
    expect(model.maxBatchSize).toBe(8)
    expect('dynamic_batching' in model.config).toBe(batching.kind !== 'off')
  })
})
