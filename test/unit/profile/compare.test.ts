import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { compareBuilds, compareReports } from '../../../src/profile/compare.js'
import type { ProfileReport, ProfileRun } from '../../../src/profile/report-types.js'
import { invalidRun, profileReport, run } from '../report/sample-reports.js'

const closed = (mean: number, change: Partial<ProfileRun> = {}): ProfileRun =>
  run({ mean, load: { kind: 'closed', concurrency: 8 }, schedule: undefined, ...change })
const of = (...runs: ProfileRun[]): ProfileReport => profileReport({ runs })

describe('a report beside one of another time', () => {
  it('says what differs, which way, and that only the noise within the runs is known', () => {
    const { how, differences, notes } = compareReports(of(closed(1000)), of(closed(1200)))
    expect(how).toBe('recorded')
    expect(differences.find(({ what }) => what === 'p50')).toMatchObject({ real: true, verdict: 'slower', unit: 'µs' })
    expect(differences.find(({ what }) => what === 'p50')?.ratio.value).toBeCloseTo(1.2, 6)
    expect(notes[0]).toContain('of another time')
  })

  it('calls what lies within 5 % the same, and what is not sure unclear', () => {
    const { differences } = compareReports(of(closed(1000)), of(closed(1010)))
    expect(differences.find(({ what }) => what === 'p50')).toMatchObject({ real: false, verdict: 'same' })
    expect(differences.find(({ what }) => what === 'p99')).toMatchObject({ real: false, verdict: 'unclear' })
  })

  it('widens the intervals of both reports, from 95 % to 99.9 %', () => {
    const { differences } = compareReports(of(closed(1000)), of(closed(1000)))
    const p99 = differences.find(({ what }) => what === 'p99')?.ratio
    // Each is 5 % down and 6.5 % up.
    const up = Math.hypot(Math.log(1.065), -Math.log(0.95)) * (3.2905 / 1.96)
    expect(p99?.high).toBeCloseTo(Math.exp(up), 6)
    expect(p99?.low).toBeCloseTo(Math.exp(-up), 6)
  })

  it('calls nothing real where the machine was another', () => {
    const after = of(closed(2000))
    const { differences, notes } = compareReports(of(closed(1000)), {
      ...after,
      machine: { ...after.machine, cpu: 'Arm' },
    })
    expect(differences.every(({ real, verdict }) => !real && verdict === 'unclear')).toBe(true)
    expect(notes.join()).toContain('cpu AMD EPYC 7763 before, Arm after')
  })

  it('says nothing about a figure without an interval, but shows it', () => {
    const { differences, notes } = compareReports(of(closed(1000)), of(closed(1000, { cpuUsPerRequest: 400 })))
    expect(differences.map(({ what }) => what)).not.toContain('CPU time a request')
    expect(notes.join()).toContain('CPU time a request, 8 in flight 312 → 400 µs (1.28×)')
  })

  it('compares no throughput of an open loop, which is the rate that was asked for', () => {
    const { differences } = compareReports(of(run()), of(run()))
    expect(differences.map(({ what }) => what)).toEqual(['p50', 'p95', 'p99'])
  })

  it('leaves out runs whose schedule was not kept, and says so', () => {
    const { differences, notes } = compareReports(of(invalidRun(), closed(1000)), of(invalidRun(), closed(1000)))
    expect(differences.length).toBeGreaterThan(0)
    expect(differences.every(({ what }) => !what.includes('Poisson'))).toBe(true)
    expect(notes.join()).toContain('Poisson 40000/s: the generator did not keep its schedule (before)')
  })

  it('matches runs by their load, and names it where there are several', () => {
    const eight = closed(1000)
    const one = closed(500, { load: { kind: 'closed', concurrency: 1 } })
    const { differences } = compareReports(of(eight, one), of(one, eight))
    expect(
      differences.filter(({ what }) => what.startsWith('p50')).map(({ what, ratio }) => [what, ratio.value]),
    ).toEqual([
      ['p50, 8 in flight', 1],
      ['p50, 1 in flight', 1],
    ])
  })
})

describe('two builds in turns', { timeout: 120_000 }, () => {
  let folder: string
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'subten-compare-'))
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  /** A build whose bench prints what `print` says; every call is noted with its arguments. */
  function build(name: string, print: string): string {
    const root = join(folder, name)
    mkdirSync(join(root, 'dist'), { recursive: true })
    writeFileSync(join(root, 'package.json'), '{ "type": "module" }')
    writeFileSync(
      join(root, 'dist', 'cli.js'),
      `import { appendFileSync } from 'node:fs'
appendFileSync(${JSON.stringify(join(folder, 'calls'))}, JSON.stringify(['${name}', ...process.argv.slice(2)]) + '\\n')
const noise = 0.98 + 0.04 * Math.random()
${print}`,
    )
    return root
  }
  const printed = (us: string, extra = ''): string =>
    `const [p50, throughput] = [${us} * noise, 1e6 / (${us} * noise)]
console.log(JSON.stringify({ model: 'm', runs: [{ concurrency: 1, failed: 0, throughput, latencyUs: { p50, p95: 2 * p50, p99: 3 * p50 }, stagesUs: { compute: { p50 } } }] }))
${extra}`

  it('are run once a round each, one at a time, in an order that a coin says and a seed fixes', async () => {
    rmSync(join(folder, 'calls'), { force: true })
    const [before, after] = [build('old', printed('200')), build('new', printed('230'))]
    const seen: string[] = []
    const comparison = await compareBuilds({
      before,
      after,
      args: ['model', '--duration', '1'],
      rounds: 11,
      seed: 3,
      onProgress: ({ round, rounds, build }) => seen.push(`${round}/${rounds} ${build}`),
    })
    const calls = readFileSync(join(folder, 'calls'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as string[])
    expect(calls[0]?.slice(1)).toEqual(['bench', 'model', '--duration', '1', '--json'])
    const order = calls.map(([name]) => name)
    expect(order).toHaveLength(24) // eleven rounds, and one that is thrown away
    expect(seen.map((line) => line.split(' ')[1])).toEqual(order.map((name) => (name === 'old' ? 'before' : 'after')))
    const firsts = order.filter((_, i) => i % 2 === 0)
    expect(new Set(firsts).size).toBe(2)
    expect(comparison).toMatchObject({ how: 'interleaved', before, after, rounds: 11, confidence: 0.999 })
    expect(comparison.differences.map(({ what, verdict }) => [what, verdict])).toEqual([
      ['throughput', 'slower'],
      ['p50', 'slower'],
      ['p95', 'slower'],
      ['p99', 'slower'],
      ['compute stage p50', 'slower'],
    ])
  })

  it('differ in nothing where they are the same, and are read although their exit code says that a contract was broken', async () => {
    const root = build('same', printed('200', 'process.exitCode = 1'))
    const { differences } = await compareBuilds({ before: root, after: root, args: ['m'], rounds: 11 })
    expect(differences.map(({ real }) => real)).toEqual([false, false, false, false, false])
  })

  it('pass on what a bench says that gives no report', async () => {
    const root = build('failing', "console.error('MODEL_NOT_FOUND: there is no model m')\nprocess.exitCode = 3")
    await expect(compareBuilds({ before: root, after: root, args: ['m'], rounds: 11 })).rejects.toMatchObject({
      code: 'ENGINE_FAILED',
      message: expect.stringContaining('exit code 3: MODEL_NOT_FOUND: there is no model m'),
    })
  })

  it('refuse a folder that is no build, and too few rounds', async () => {
    const root = build('fine', printed('200'))
    const options = { before: root, after: root, args: ['m'], rounds: 11 }
    await expect(compareBuilds({ ...options, after: join(folder, 'nowhere') })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
    })
    await expect(compareBuilds({ ...options, rounds: 10 })).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
  })

  it('end with the signal', async () => {
    const root = build('slow', 'setTimeout(() => {}, 60_000)')
    const controller = new AbortController()
    const comparison = compareBuilds({ before: root, after: root, args: ['m'], rounds: 11, signal: controller.signal })
    setTimeout(() => controller.abort(), 50)
    await expect(comparison).rejects.toMatchObject({ name: 'AbortError' })
  })
})
