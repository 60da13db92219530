import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { reportOfProcesses } from '../../../src/profile/repeated.js'
import { profileHtml } from '../../../src/report/profile-html.js'
import { fullReport, HOSTILE, invalidRun, profileReport, run, withHostileStrings } from './sample-reports.js'

describe('the report of a load test', () => {
  it('allows its own style and script by their hashes, and nothing else', () => {
    const page = profileHtml(profileReport())
    const policy = /Content-Security-Policy" content="([^"]*)"/.exec(page)?.[1]?.replaceAll('&#39;', "'")
    const hash = (text: string | undefined) =>
      `'sha256-${createHash('sha256')
        .update(text ?? '')
        .digest('base64')}'`
    const style = /<style>([\s\S]*?)<\/style>/.exec(page)?.[1]
    const script = /<script>([\s\S]*?)<\/script>/.exec(page)?.[1]
    expect(style).toContain('.u-over') // uPlot's own
    expect(script).toContain('uPlot=function')
    expect(policy).toBe(
      `default-src 'none'; script-src ${hash(script)}; style-src ${hash(style)}; img-src data:; base-uri 'none'; form-action 'none'`,
    )
    expect(page).not.toMatch(/ style="| on\w+="/)
  })

  it('escapes every string, wherever it stands', () => {
    const page = profileHtml(withHostileStrings(fullReport()))
    expect(page.match(/<script/g)).toHaveLength(2)
    expect(page.match(/<\/script/g)).toHaveLength(2)
    expect(/<img|\u202e/.test(page)).toBe(false)
    expect(page.includes('&lt;img src=x')).toBe(true)
    expect(JSON.parse(/id="charts">(.*?)<\/script>/.exec(page)?.[1] ?? '')).toEqual(
      expect.arrayContaining([
        expect.objectContaining({
          labels: expect.arrayContaining([`${HOSTILE.replace('\u202e', '\\u202e')}Poisson 500/s`]),
        }),
      ]),
    )
  })

  it('says in its title, at its top and at the run that a run is invalid, and why', () => {
    const page = profileHtml(profileReport({ runs: [invalidRun()] }))
    expect(page).toContain('<title>INVALID: digits, load test</title>')
    expect(page).toContain('this run says nothing about the target')
    expect(page).toContain('31 % of the requests left more than 1 ms after their time')
    expect(page).toContain('invalid: schedule not kept')
    expect(page).not.toContain('The load was what it was meant to be')
  })

  it('shows what several processes say, and is not invalid because one of them is', () => {
    const reports = [1000, 1100, 1200, 1300, 1400].map((mean) => profileReport({ runs: [run({ mean })] }))
    const about = { at: 0, seed: 1 }
    const page = profileHtml(reportOfProcesses([...reports, profileReport({ runs: [invalidRun(2000)] })], about))
    expect(page).toContain('<title>digits, load test</title>')
    expect(page).toContain('In 6 processes')
    expect(page).toContain('Medians over the processes; 1 process had a run whose schedule was not kept')
    expect(page).toMatch(/<th>p50, Poisson 2000\/s<\/th><td><b>1\.1 ms<\/b>/)
    expect(page).toContain('in 5 of 6 open-loop runs')
    expect(page).not.toContain('lowest p99')
    expect(page).not.toContain('Latency against answers a second')
    const broken = profileHtml(
      reportOfProcesses(
        [1, 2, 3].map(() => profileReport({ runs: [invalidRun()] })),
        about,
      ),
    )
    expect(broken).toContain('<title>INVALID: digits, load test</title>')
  })

  it('judges no contract by an invalid run', () => {
    const verdict = [{ objective: 'a', promise: 'b', delivered: 'c', ok: true }]
    expect(profileHtml(profileReport({ verdict }))).toContain('Contract met')
    const page = profileHtml(profileReport({ runs: [run(), invalidRun()], verdict }))
    expect(page).not.toContain('Contract met')
    expect(page).toContain('The contract is not judged by an invalid run')
  })

  it('counts an objective that could not be judged neither as met nor as broken', () => {
    const unknown = { objective: 'a', promise: 'b', delivered: '–', ok: false, unknown: 'no labels' }
    expect(profileHtml(profileReport({ verdict: [unknown] }))).toContain('No objective could be judged')
    const page = profileHtml(
      profileReport({ verdict: [unknown, { objective: 'd', promise: 'e', delivered: 'f', ok: false }] }),
    )
    expect(page).toContain('1 objective broken')
    expect(page).toContain('not judged')
  })

  it('says how many more requests a percentile needs', () => {
    const short = run({ points: 5 })
    expect(profileHtml(profileReport({ runs: [short] }))).toMatch(/needs [\d,]+ more requests/)
  })

  it('shows a report without runs', () => {
    expect(profileHtml(profileReport({ runs: [], notes: [] }))).toContain('Nothing was measured')
  })

  it('shows a run in which nothing was answered, without dividing by it', () => {
    const nothing = {
      count: 0,
      mean: 0,
      max: 0,
      p50: { needs: 10 },
      p90: { needs: 50 },
      p95: { needs: 90 },
      p99: { needs: 500 },
      p999: { needs: 5000 },
    }
    const empty = run({
      requests: { sent: 0, succeeded: 0, failed: 0, refused: 0, expired: 0, aborted: 0 },
      throughput: 0,
      latencyUs: nothing,
      serviceUs: nothing,
      curve: [],
      series: [],
      errors: {},
      batches: undefined,
      stagesUs: undefined,
    })
    const page = profileHtml(profileReport({ runs: [empty, empty] })).replace(/<script[\s\S]*/, '')
    expect(page).not.toMatch(/NaN|Infinity|undefined|null/)
  })

  it('shows what was read from JSON, in which a figure that is none is null', () => {
    const report = fullReport()
    const [step, ...steps] = report.search?.steps ?? []
    const search = { ...report.search, steps: [{ ...step, us: Number.NaN }, ...steps] } as typeof report.search
    const [first, ...rest] = report.comparison?.differences ?? []
    const difference = {
      ...first,
      ratio: { value: Number.NaN, low: 0, high: Number.POSITIVE_INFINITY },
    } as typeof first
    const comparison = { ...report.comparison, differences: [difference, ...rest] } as typeof report.comparison
    const read = JSON.parse(JSON.stringify({ ...report, search, comparison })) as typeof report
    const page = profileHtml(read)
    expect(page.replace(/<script[\s\S]*/, '')).not.toMatch(/NaN|Infinity|undefined/)
  })

  it('stays small with 50 runs and 100,000 points, and keeps the worst of what it joins', () => {
    const long = run({ points: 100_000 })
    const worst = Math.max(...long.series.map((point) => point.max))
    const page = profileHtml(
      profileReport({ runs: [long, ...Array.from({ length: 49 }, (_, i) => run({ points: 600, seed: i }))] }),
    )
    expect(page.length).toBeLessThan(3_000_000)
    const charts = JSON.parse(/id="charts">(.*?)<\/script>/.exec(page)?.[1] ?? '') as { kind: string; max: number[] }[]
    const latency = charts.find((chart) => chart.kind === 'latency')
    expect(latency?.max.length).toBeLessThan(1000)
    expect(Math.max(...(latency?.max ?? []))).toBeCloseTo(worst, -2)
    expect(page).toContain('8 of 50 runs, evenly chosen')
  })
})
