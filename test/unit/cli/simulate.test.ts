import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { linePlot } from '../../../src/cli/line-plot.js'
import { subten } from './running-cli.js'

const folder = mkdtempSync(join(tmpdir(), 'subten-simulate-'))
const SHORT = ['--duration', '1s', '--warmup', '100ms']

interface Report {
  runs: { policy: string; load: number; offered: number; good: number; admitted: number; refused: number }[]
}
const report = (text: string): Report => JSON.parse(text) as Report

it('simulate shows what policies make of the same load', async () => {
  const { code, out } = await subten(['simulate', '--poisson', '9000', ...SHORT, '--policy', 'slo,static'])
  expect(code).toBe(0)
  expect(out).toMatch(/^policy +offered\/s +goodput\/s/)
  expect(out).toMatch(/all instances can do 4444 rows a second at best$/)
})

it('simulate has instances of different pace', async () => {
  const { code, out } = await subten(['simulate', '--poisson', '9000', ...SHORT, '--policy', 'slo', '--paces', '1,2'])
  expect(code).toBe(0)
  expect(out).toMatch(/all instances can do 6667 rows a second at best$/)
  expect((await subten(['simulate', '--poisson', '9000', '--paces', '1,0'])).err).toContain('as 1,1,2')
})

it('simulate keeps the goodput of slo at twice the load, where that of static is gone', async () => {
  const { out } = await subten(['simulate', '--poisson', '8888', ...SHORT, '--json'])
  const [slo, fixed] = report(out).runs
  expect(slo?.offered).toBe(fixed?.offered)
  expect(slo?.good).toBeGreaterThan(4000)
  expect(fixed?.good).toBeLessThan(1000)
})

it('simulate gives the same figures for the same seed, and others for another', async () => {
  const args = ['simulate', '--gamma', '3000', ...SHORT, '--policy', 'all', '--json', '--seed']
  const [a, b, c] = await Promise.all([subten([...args, '5']), subten([...args, '5']), subten([...args, '6'])])
  expect(a.out).toBe(b.out)
  expect(a.out).not.toBe(c.out)
})

it('simulate adds up seeds', async () => {
  const args = ['simulate', '--poisson', '1000', ...SHORT, '--policy', 'slo', '--json', '--seeds']
  const one = report((await subten([...args, '1'])).out).runs[0]
  const four = report((await subten([...args, '4'])).out).runs[0]
  expect(four?.offered).toBeGreaterThan(3.5 * (one?.offered ?? 0))
})

it('simulate sweeps the load and writes JSON and a plot', async () => {
  const out = join(folder, 'sweep.json')
  const plot = join(folder, 'sweep.svg')
  const ran = await subten([
    'simulate',
    '--poisson',
    '4000',
    ...SHORT,
    '--sweep',
    '0.5:1.5:0.5',
    '--out',
    out,
    '--plot',
    plot,
  ])
  expect(ran.code).toBe(0)
  expect(report(readFileSync(out, 'utf8')).runs.map(({ policy, load }) => [policy, load])).toEqual(
    [0.5, 1, 1.5].flatMap((load) => [
      ['slo', load],
      ['static', load],
    ]),
  )
  expect(readFileSync(plot, 'utf8')).toMatch(/^<svg [\s\S]*<polyline[\s\S]*<\/svg>\n$/)
})

it('simulate plays a recorded trace', async () => {
  const trace = join(folder, 'trace.csv')
  writeFileSync(trace, `t_ms\n${Array.from({ length: 500 }, (_, i) => i * 2).join('\n')}\n`)
  const { out } = await subten(['simulate', trace, '--json', '--policy', 'slo'])
  expect(report(out).runs[0]).toMatchObject({ offered: 500, admitted: 500, good: 500 })
})

it('simulate takes the latency of a model', async () => {
  const { code, out } = await subten([
    'simulate',
    '--poisson',
    '100',
    ...SHORT,
    '--latency-of',
    'models/vector',
    '--json',
  ])
  expect(code).toBe(0)
  const { options } = JSON.parse(out) as { options: { engine: { table: [number, number][] } } }
  expect(options.engine.table.map(([rows]) => rows)).toEqual([1, 2, 4, 8])
})

it.each([
  [[], 'Give one load'],
  [['--poisson', '1', '--gamma', '2'], 'Give one load'],
  [['--poisson', '-1'], 'above 0'],
  [['--poisson', '1', '--latency', '1ms'], 'It must be times'],
  [['--poisson', '1', '--latency', '1ms+1ms', '--latency-table', '1=1ms'], 'Give one of'],
  [['--poisson', '1', '--latency-table', '8=1ms,1=2ms'], 'ascending'],
  [['--poisson', '1', '--rows', '9'], 'max-batch'],
  [['--poisson', '1', '--policy', 'best'], "no policy 'best'"],
  [['--poisson', '1', '--sweep', '2:1:1'], 'from:to:step'],
  [['--poisson', '1', '--burnt', '0.5:1'], 'two shares'],
  [['--poisson', '1', '--plot', 'x.svg'], '--sweep'],
])('simulate %j is refused', async (args, why) => {
  const { code, err } = await subten(['simulate', ...args])
  expect(code).toBe(2)
  expect(err).toContain(why)
})

it('simulate says what the core does not take', async () => {
  const { code, err } = await subten(['simulate', '--poisson', '1e12'])
  expect(code).toBe(1)
  expect(err).toContain("INVALID_INPUT: simulation: 'rate' is not in its range")
})

it('a plot is the same for the same numbers and shows names as text', () => {
  const plot = {
    title: 'a < b',
    x: 'x',
    y: 'y',
    lines: [
      {
        name: 'a&b',
        points: [
          [0, 1],
          [2, 3],
        ] as const,
      },
    ],
  }
  expect(linePlot(plot)).toBe(linePlot(plot))
  expect(linePlot(plot)).toContain('a&#38;b')
})
