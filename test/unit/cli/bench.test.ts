import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { benchArgs } from '../../../src/cli/bench-compare.js'
import { fakeModel } from '../../../src/testing.js'
import { fakeBench } from '../profile/fake-bench.js'
import { invalidRun, profileReport, run } from '../report/sample-reports.js'
import { echoModel, serving, vector } from '../server/running-server.js'
import { contractFile } from '../sla/contract-file.js'
import { subten } from './running-cli.js'

const slow = () => fakeModel({ inputs: [], outputs: [] }, { latencyMs: 20 })
/** A bound that no busy machine breaks: what is late is tested elsewhere. */
const lenient = ['--late-bound', '60s']

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'subten-bench-'))
})
afterAll(() => rm(folder, { recursive: true }))

describe('subten bench', () => {
  it('measures a closed loop at each concurrency', async () => {
    const args = ['bench', 'models/vector', '--concurrency', '1,4', '--duration', '0.2', '--warmup', '0.05']
    const ran = await subten(args)
    expect(ran.code).toBe(0)
    expect(ran.out).toMatch(/closed loop, 4 in flight: \d+ answers\/s/)
    expect(ran.out).toMatch(/compute(\s+[\d.]+){5}/)
    expect(ran.out).toContain('hides stalls')
    expect(ran.err).toContain('1 in flight: warming up')
    const json = JSON.parse((await subten([...args, '--json'])).out)
    expect(json).toMatchObject({
      schema: 'subten.profile/1',
      target: { kind: 'in-process', model: 'vector' },
      machine: { node: process.version },
      runs: [{ load: { kind: 'closed', concurrency: 1 } }, { load: { kind: 'closed', concurrency: 4 } }],
    })
    expect(json.runs[0].batches.count).toBe(json.runs[0].requests.succeeded)
  })

  it('measures an open loop from the intended send time, at each rate', async () => {
    const args = ['bench', 'slow', '--rate', '100,200', '--duration', '0.5', '--warmup', '0', '--json', ...lenient]
    const ran = await subten(args, { models: { slow } })
    expect(ran.code).toBe(0)
    const { runs } = JSON.parse(ran.out)
    expect(runs.map((run: { load: unknown }) => run.load)).toEqual([
      { kind: 'poisson', rate: 100, seed: 1 },
      { kind: 'poisson', rate: 200, seed: 1 },
    ])
    const [, run] = runs
    expect(run.requests.succeeded).toBeGreaterThan(60)
    expect(run.latencyUs.p50.value).toBeGreaterThan(18_000)
    expect(run.latencyUs.p999).toEqual({ needs: 10_000 - run.latencyUs.count })
    expect(run.schedule).toMatchObject({ kept: true, latenessUs: { count: run.requests.sent } })
  })

  it.each([
    [['--arrivals', 'constant', '--rate', '100'], { kind: 'constant', rate: 100, seed: 3 }],
    [['--arrivals', 'gamma', '--rate', '100', '--cv', '3'], { kind: 'gamma', rate: 100, cv: 3, seed: 3 }],
    [['--ramp', '50:200'], { kind: 'ramp', from: 50, to: 200, seed: 3 }],
  ])('takes other arrivals: %j', async (flags, load) => {
    const args = ['bench', 'models/vector', ...flags, '--duration', '0.2', '--warmup', '0', '--seed', '3', '--json']
    expect(JSON.parse((await subten([...args, ...lenient])).out).runs[0].load).toEqual(load)
  })

  it('replays a trace, and names file and line of a bad one', async () => {
    const file = join(folder, 'trace.jsonl')
    await writeFile(file, '{"timestamp":0}\n{"timestamp":0.1}\n')
    const args = ['bench', 'models/vector', '--replay', file, '--warmup', '0', '--json', ...lenient]
    expect(JSON.parse((await subten(args)).out).runs[0].requests.sent).toBe(2)
    await writeFile(file, '{"timestamp":0}\n{}\n')
    expect(await subten(args)).toMatchObject({ code: 1, err: expect.stringContaining(`${file}:2: `) })
  })

  it('measures a server', async () => {
    const { url } = await serving([echoModel(vector)])
    const args = ['--rate', '50', '--duration', '0.3', '--warmup', '0', ...lenient]
    const ran = await subten(['bench', 'echo', '--url', url, '--protocol', 'kserve-json', ...args])
    expect(ran).toMatchObject({ code: 0, out: expect.stringContaining(`echo, version 1`) })
    expect(ran.out).toContain(`at ${url} (kserve-json)`)
    const grpc = await subten(['bench', 'echo', '--url', url, '--protocol', 'kserve-grpc', ...args])
    expect(grpc).toMatchObject({ code: 1, err: expect.stringContaining('NOT_SUPPORTED') })
  })

  it('says with exit code 1 that a run is invalid', async () => {
    const args = ['bench', 'models/vector', '--rate', '200', '--duration', '0.3', '--warmup', '0']
    const ran = await subten([...args, '--late-bound', '0.001us'])
    expect(ran).toMatchObject({ code: 1, out: expect.stringMatching(/INVALID, the schedule was not kept: 100 %/) })
  })

  it('reports failures, with exit code 1', async () => {
    const models = { failing: () => fakeModel({ inputs: [], outputs: [] }, { latencyMs: 1, failEvery: 3 }) }
    const ran = await subten(['bench', 'failing', '--concurrency', '1', '--duration', '0.5', '--warmup', '0'], {
      models,
    })
    expect(ran).toMatchObject({ code: 1, out: expect.stringMatching(/\d+ FAILED \(ENGINE_FAILED \d+: .*request \d+/) })
  })

  it('looks for the highest rate, and measures there', async () => {
    const args = ['bench', 'slow', '--find', 'p90=15ms', '--repeats', '1', '--duration', '0.1', '--warmup', '0']
    const ran = await subten([...args, ...lenient, '--rate', '100'], { models: { slow } })
    // Every answer takes 20 ms: no rate is low enough, and none is measured.
    expect(ran).toMatchObject({ code: 1, out: expect.stringContaining('no rate keeps p90 within 15 ms') })
    expect(ran.err).toContain('looking for the highest rate')
  })

  it('runs a scenario of MLPerf, which is invalid when it is short', async () => {
    const args = ['bench', 'slow', '--mlperf', 'single-stream', '--mlperf-duration', '0.5', '--warmup', '0']
    const ran = await subten(args, { models: { slow } })
    expect(ran.code).toBe(1)
    expect(ran.out).toMatch(/MLPerf single-stream: .*INVALID/)
    expect(ran.out).toMatch(/NOT OK {2}minimum duration: 0.5 s; it takes 600 s/)
  })

  it('writes the report to a file', async () => {
    const file = join(folder, 'report.json')
    const args = ['bench', 'models/vector', '--concurrency', '1', '--duration', '0.1', '--warmup', '0']
    expect((await subten([...args, '--out', file])).code).toBe(0)
    expect(JSON.parse(await readFile(file, 'utf8'))).toMatchObject({ schema: 'subten.profile/1' })
    await writeFile(file, '{"not":"a report"}')
    expect(await subten([...args, '--compare', file])).toMatchObject({
      code: 1,
      err: expect.stringContaining('is no report of subten bench'),
    })
  })

  it('refuses wrong options with 2, and a shape the model does not take with 1', async () => {
    const bench = (...args: string[]) =>
      subten(['bench', 'models/vector', '--duration', '0.1', '--warmup', '0', ...args])
    for (const wrong of [
      ['--concurrency', '0'],
      ['--rate', '-5'],
      ['--rate', '5', '--concurrency', '1'],
      ['--ramp', '5'],
      ['--shape', 'x'],
      ['--good-within', '10'],
      ['--find', 'fast'],
      ['--find', 'p99=1ms', '--mlperf', 'server'],
      ['--mlperf', 'both'],
      ['--url', 'http://x', '--protocol', 'classify'],
      ['--processes', '1'],
      ['--processes', '101'],
      ['--processes', '2', '--find', 'p99=1ms'],
      ['--processes', '2', '--mlperf', 'server'],
    ]) {
      expect(await bench(...wrong), wrong.join(' ')).toMatchObject({ code: 2, out: '' })
    }
    expect((await bench('--shape', 'x=1,4')).code).toBe(1)
    expect((await bench('--shape', 'z=1')).code).toBe(1)
  })
})

describe('subten bench --processes', () => {
  const requests = { sent: 1000, succeeded: 1000, failed: 0, refused: 0, expired: 0, aborted: 0 }
  const good = profileReport({ runs: [run({ requests })] })
  const flags = ['--rate', '2000', '--seed', '4', '--out', 'no-file', '--processes', '6']
  const bench = (program: string, ...more: string[]) =>
    subten(
      ['bench', 'digits', ...flags.map((flag) => (flag === 'no-file' ? join(folder, 'out.json') : flag)), ...more],
      {
        program,
      },
    )

  it('prints what processes of their own say together, and writes all of it', async () => {
    const { program, calls } = fakeBench(folder, good, [1, 1.1, 0.9, 1.05, 0.95, 1])
    const html = join(folder, 'out.html')
    const ran = await bench(program, '--report', html)
    expect(ran).toMatchObject({ code: 0, err: 'measuring in 6 processes, one after the other' })
    expect(ran.out).toMatch(/95 % over processes +lowest to highest/)
    expect(ran.out).toMatch(/^p50, Poisson 2000\/s +1260 µs +\[1134, 1386\] +1134 to 1386$/m)
    expect(ran.out).not.toContain('process 1:')
    expect(calls()).toHaveLength(6)
    expect(calls()[0]).toEqual(['bench', '--seed', expect.any(String), 'digits', '--rate', '2000', '--json'])
    const written = JSON.parse(await readFile(join(folder, 'out.json'), 'utf8'))
    expect(written).toMatchObject({ seed: 4, repeated: { processes: 6, invalid: 0, valid: true } })
    expect(written.repeated.figures[1].each).toHaveLength(6)
    expect(await readFile(html, 'utf8')).toContain('In 6 processes')
  })

  it('compares by the intervals over processes', async () => {
    const before = join(folder, 'before.json')
    await bench(fakeBench(folder, good, [1, 1.01, 0.99, 1, 1.02, 0.98]).program, '--out', before)
    const slower = fakeBench(folder, good, [1.3, 1.31, 1.29, 1.3, 1.32, 1.28])
    const ran = await bench(slower.program, '--compare', before)
    expect(ran.out).toMatch(/^p50 .* SLOWER$/m)
    expect(ran.out).toContain('from process to process')
    expect(slower.calls()[0]).not.toContain('--compare')
  })

  it('goes on without a process whose schedule was not kept, and fails where that were more than a third', async () => {
    const bad = profileReport({ runs: [{ ...invalidRun(2000), requests }] })
    const ran = await bench(fakeBench(folder, bad).program)
    expect(ran.code).toBe(1)
    expect(ran.out).toContain('INVALID: 6 processes, 6 of them with a run that was left out')
    const some = fakeBench(folder, good, [1], { 2: bad })
    expect(await bench(some.program)).toMatchObject({ code: 0, out: expect.stringContaining('process 3, Poisson') })
  })

  it('fails where requests failed, and where a process prints no report', async () => {
    const failed = profileReport({ runs: [run({ requests: { ...requests, succeeded: 999, failed: 1 } })] })
    expect((await bench(fakeBench(folder, failed).program)).code).toBe(1)
    const none = await bench(fakeBench(folder, undefined).program)
    expect(none).toMatchObject({ code: 1, out: '', err: expect.stringContaining('there is no model m') })
  })

  it('gives the processes the threshold of a contract, and judges those that kept their schedule', async () => {
    const { program, calls } = fakeBench(folder, good)
    const ran = await bench(program, '--sla', contractFile('good/list.yaml'))
    expect(calls()[0]).toEqual(expect.arrayContaining(['--good-within', '2500us']))
    expect(calls()[0]).not.toContain('--sla')
    expect(ran.out).toContain('within: ')
  })
})

describe('the arguments of runs that are compared', () => {
  it('are those of the call without what belongs to the comparison', () => {
    const args = ['bench', 'm', '--rate', '5', '--compare', 'old', '--json', '--out=x', '--rounds=3', '--report', 'r']
    expect(benchArgs([...args, '--duration', '1'])).toEqual(['m', '--rate', '5', '--duration', '1'])
  })
})
