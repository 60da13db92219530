import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { compareReports } from '../../../src/profile/compare.js'
import { repeatBench } from '../../../src/profile/repeat.js'
import { reportOfProcesses } from '../../../src/profile/repeated.js'
import type { ProfileReport, ProfileRun } from '../../../src/profile/report-types.js'
import { invalidRun, profileReport, run } from '../report/sample-reports.js'
import { fakeBench } from './fake-bench.js'

const all = { requests: { sent: 1000, succeeded: 1000, failed: 0, refused: 0, expired: 0, aborted: 0 } }
const ABOUT = { at: 5, seed: 7 }
const of = (...runs: ProfileRun[]): ProfileReport => profileReport({ runs, notes: ['two CPUs'] })
const processes = (means: number[], change: Partial<ProfileRun> = {}): ProfileReport =>
  reportOfProcesses(
    means.map((mean) => of(run({ mean, ...all, ...change }))),
    ABOUT,
  )

describe('the report of several processes', () => {
  it('has every figure that they all have, the median first, with those of each process', () => {
    const report = processes([1000, 1300, 1100, 1200, 1000, 1400])
    expect(report).toMatchObject({ ...ABOUT, target: { model: 'digits' }, notes: ['two CPUs'] })
    const { repeated } = report
    expect(repeated).toMatchObject({ processes: 6, invalid: 0, valid: true })
    expect(repeated?.figures.map(({ what, unit }) => `${what} ${unit}`)).toEqual([
      'throughput, Poisson 2000/s 1/s',
      'p50, Poisson 2000/s µs',
      'p90, Poisson 2000/s µs',
      'p95, Poisson 2000/s µs',
      'p99, Poisson 2000/s µs',
      'p999, Poisson 2000/s µs',
      'compute stage p50, Poisson 2000/s µs',
      'CPU time a request, Poisson 2000/s µs',
      'sent late by, p50, Poisson 2000/s µs',
    ])
    const p50 = repeated?.figures[1]
    expect(p50?.each).toEqual([920, 1196, 1012, 1104, 920, 1288])
    expect(p50?.value).toBeCloseTo(1058, 9)
    // Of six processes: the smallest and the largest.
    expect([p50?.low, p50?.high]).toEqual([expect.closeTo(920, 6), expect.closeTo(1288, 6)])
  })

  it('keeps the runs, and says of which process each is', () => {
    const { runs } = processes([1000, 1100])
    expect(runs.map(({ label }) => label)).toEqual(['process 1: Poisson 2000/s', 'process 2: Poisson 2000/s'])
  })

  it('says under each load what the processes say under it', () => {
    const two = (mean: number): ProfileReport => of(run({ ...all, mean, rate: 100 }), run({ ...all, mean: 2 * mean }))
    const { figures } = reportOfProcesses([two(1000), two(1000)], ABOUT).repeated ?? { figures: [] }
    const p50s = figures.filter(({ what }) => what.startsWith('p50'))
    expect(p50s.map(({ what, value }) => [what, value])).toEqual([
      ['p50, Poisson 100/s', 920],
      ['p50, Poisson 2000/s', 1840],
    ])
  })

  it('leaves out a percentile for which one process has too few requests, and says which', () => {
    const short = run({ ...all, latencyUs: { ...run().latencyUs, p999: { needs: 12 } } })
    const { repeated, notes } = reportOfProcesses([of(run(all)), of(short), of(run(all))], ABOUT)
    expect(repeated?.figures.map(({ what }) => what)).not.toContain('p999, Poisson 2000/s')
    expect(notes.join()).toContain('not every process has enough requests for p999')
  })

  it('leaves out stages that a server counts since it loaded the model', () => {
    const server = { ...of(run(all)), target: { kind: 'kserve-json', model: 'm', url: 'http://x' } } as const
    const { repeated, notes } = reportOfProcesses([server, server], ABOUT)
    expect(repeated?.figures.map(({ what }) => what)).not.toContain('compute stage p50, Poisson 2000/s')
    expect(notes.join()).toContain('The server was one process throughout')
  })

  it('leaves out processes that did not keep their schedule, counts and names them', () => {
    const good = of(run({ ...all, rate: 40_000 }))
    const bad = of({ ...invalidRun(), ...all })
    const { repeated, notes } = reportOfProcesses([good, bad, good], ABOUT)
    expect(repeated).toMatchObject({ processes: 3, invalid: 1, valid: true })
    expect(repeated?.figures[0]?.each).toHaveLength(2)
    expect(notes[0]).toMatch(/^process 2, Poisson 40000\/s: INVALID: 31 % of the requests left/)
    // Four of twelve are a third; more are too many.
    const many = (invalid: number): ProfileReport[] => Array.from({ length: 12 }, (_, i) => (i < invalid ? bad : good))
    expect(reportOfProcesses(many(4), ABOUT).repeated).toMatchObject({ invalid: 4, valid: true })
    expect(reportOfProcesses(many(5), ABOUT).repeated).toMatchObject({ invalid: 5, valid: false })
    expect(reportOfProcesses([bad, bad], ABOUT).repeated).toMatchObject({ invalid: 2, valid: false, figures: [] })
  })

  it('is invalid where it is under one of its loads', () => {
    const good = run({ ...all, rate: 100 })
    const reports = [of(good, invalidRun()), of(good, invalidRun()), of(good, invalidRun())]
    const { repeated } = reportOfProcesses(reports, ABOUT)
    expect(repeated).toMatchObject({ invalid: 3, valid: false })
    expect(repeated?.figures.every(({ what }) => what.endsWith('Poisson 100/s'))).toBe(true)
  })

  it('says what holds of fewer than six processes, and which requests did not succeed', () => {
    expect(processes([1, 2, 3, 4, 5]).notes.join()).toContain(
      "With fewer than 6 processes the intervals are Student's t",
    )
    expect(processes([1, 2, 3, 4, 5, 6]).notes.join()).not.toContain('Student')
    expect(processes([1, 2], { requests: { ...all.requests, succeeded: 990, failed: 10 } }).notes[0]).toBe(
      'process 1, Poisson 2000/s: 10 of 1000 requests did not succeed; the first: ENGINE_FAILED: node 12 (MatMul): the input has a dimension of 0.',
    )
  })
})

describe('a report of several processes beside one of another time', () => {
  const spread = [0.9, 0.95, 1, 1, 1.05, 1.1, 0.98, 1.02].map((times) => 1000 * times)

  it('has the intervals over processes, of processor time too, where both are such reports', () => {
    const { differences, notes } = compareReports(processes(spread), processes(spread))
    const whats = differences.map(({ what }) => what)
    expect(whats).toEqual(['p50', 'p95', 'p99', 'compute stage p50', 'CPU time a request'])
    const p50 = differences[0]?.ratio
    // Both intervals add up in squares, and grow as t of 7 degrees of freedom does from 95 % to 99.9 %.
    const figure = processes(spread).repeated?.figures[1]
    const half = Math.hypot(Math.log((figure?.high ?? 0) / 920), Math.log(920 / (figure?.low ?? 0)))
    expect(Math.log(p50?.high ?? 0)).toBeCloseTo(half * (5.4079 / 2.3646), 4)
    expect(notes[0]).toContain('from process to process')
  })

  it('finds what is larger than the processes differ', () => {
    const { differences } = compareReports(processes(spread), processes(spread.map((mean) => 1.4 * mean)))
    expect(differences[0]).toMatchObject({ what: 'p50', real: true, verdict: 'slower' })
  })

  it('says nothing of a percentile for which some process has too few requests', () => {
    const short = { latencyUs: { ...run().latencyUs, p99: { needs: 12 } } }
    const few = reportOfProcesses([of(run(all)), of(run({ ...all, ...short })), of(run(all))], ABOUT)
    const { differences, notes } = compareReports(few, processes(spread))
    expect(differences.map(({ what }) => what)).not.toContain('p99')
    expect(notes.join()).toContain('no interval, so nothing is said about them: p99, Poisson 2000/s')
  })

  it('takes the intervals within a run where only one is such a report', () => {
    const one = of(run(all))
    const { differences, notes } = compareReports(one, processes([1370, 1370, 1370, 1370, 1370, 1370]))
    expect(differences.map(({ what }) => what)).toEqual(['p50', 'p95', 'p99'])
    expect(notes[0]).toContain('the noise within each run')
  })

  it('calls nothing real where too few processes kept their schedule', () => {
    const slower = processes(spread.map((mean) => 1.4 * mean))
    const doubtful = { ...slower, repeated: { ...(slower.repeated as object), valid: false } } as ProfileReport
    const { differences, notes } = compareReports(processes(spread), doubtful)
    expect(differences.every(({ real }) => !real)).toBe(true)
    expect(notes.join()).toContain('Too few processes kept their schedule (after)')
  })
})

describe('processes that measure the same', () => {
  let folder: string
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'subten-processes-'))
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  it('run one after the other, each with a seed of its own that comes from one', async () => {
    const { program, calls } = fakeBench(folder, of(run(all)))
    const seen: number[] = []
    const options = { program, args: ['digits', '--rate', '9'], processes: 3, seed: 1 }
    const report = await repeatBench({ ...options, onProgress: (process) => seen.push(process) })
    expect(seen).toEqual([1, 2, 3])
    expect(report.repeated).toMatchObject({ processes: 3, invalid: 0 })
    expect(report.seed).toBe(1)
    const seeds = calls().map((args) => {
      expect(args).toEqual(['bench', '--seed', expect.stringMatching(/^\d+$/), 'digits', '--rate', '9', '--json'])
      return args[2]
    })
    expect(new Set(seeds).size).toBe(3)
    await repeatBench(options)
    expect(calls().map((args) => args[2])).toEqual([...seeds, ...seeds])
    await repeatBench({ ...options, seed: 2 })
    expect(calls().at(-1)?.[2]).not.toBe(seeds[2])
  })

  it('start so far apart as asked', async () => {
    const { program } = fakeBench(folder, of(run(all)))
    const starts: number[] = []
    const onProgress = (): unknown => starts.push(performance.now())
    await repeatBench({ program, args: ['digits'], processes: 3, seed: 1, everyMs: 700, onProgress })
    // A timer may fire a millisecond before its time; nothing here holds one back.
    expect((starts[2] as number) - (starts[0] as number)).toBeGreaterThan(1398)
  })

  it('pass on what a process says that gives no report', async () => {
    const { program } = fakeBench(folder, undefined)
    await expect(repeatBench({ program, args: ['m'], processes: 2, seed: 1 })).rejects.toMatchObject({
      code: 'ENGINE_FAILED',
      message: expect.stringContaining('exit code 1: MODEL_NOT_FOUND: there is no model m'),
    })
  })
})
