import { mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Page } from 'playwright-core'
import { build, type Options } from 'tsup'
import { describe, expect, it } from 'vitest'
import { profileHtml } from '../../src/report/profile-html.js'
import { slaHtml } from '../../src/report/sla-html.js'
import config from '../../tsup.config.js'
import {
  fullReport,
  HOSTILE,
  invalidRun,
  profileReport,
  run,
  slaReport,
  withHostileStrings,
} from '../unit/report/sample-reports.js'
import { CHROMIUM, PHONE, reportBrowser, screenshots, WIDE } from './chromium.js'

describe('reports from a build', () => {
  it('are those of the sources, from ES modules and from CommonJS, with style and script in them', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'subten-report-build-'))
    try {
      // The options of dist/, with the reports as what is asked for.
      const [options] = config as [Options, ...Options[]]
      const entry = { profile: 'src/report/profile-html.ts', sla: 'src/report/sla-html.ts' }
      const own = {
        entry,
        outDir: folder,
        config: false,
        silent: true,
        sourcemap: false,
        onSuccess: undefined,
      } as const
      await build({
        ...options,
        ...own,
        format: ['esm', 'cjs'],
        outExtension: ({ format }) => ({ js: format === 'esm' ? '.mjs' : '.cjs' }),
      })
      const require = createRequire(import.meta.url)
      for (const [name, made] of [
        ['profile', profileHtml(profileReport())],
        ['sla', slaHtml(slaReport())],
      ] as const) {
        const fromRequire = require(join(folder, `${name}.cjs`)) as Record<string, (report: unknown) => string>
        const fromImport = (await import(pathToFileURL(join(folder, `${name}.mjs`)).href)) as typeof fromRequire
        const report = name === 'sla' ? slaReport() : profileReport()
        expect(fromRequire[`${name}Html`]?.(report) === made).toBe(true)
        expect(fromImport[`${name}Html`]?.(report) === made).toBe(true)
        expect(made.includes('--ground') && made.includes('.u-over') && made.includes('uPlot=function')).toBe(true)
      }
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  }, 120_000)
})

describe.skipIf(!CHROMIUM)('reports in Chromium (skipped where Chromium is absent)', { timeout: 90_000 }, () => {
  const open = reportBrowser()

  /** How many colours other than none each chart that can be seen has; one that is blank has 0. */
  const colours = (page: Page): Promise<number[]> =>
    page.evaluate(`(() => {
      const folded = (box) => box.closest('details:not([open])') !== null
      return [...document.querySelectorAll('[data-chart]')].filter((box) => !folded(box)).map((box) => {
        const canvas = box.querySelector('canvas')
        const data = canvas?.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data ?? []
        const seen = new Set()
        for (let i = 0; i < data.length; i += 4) if (data[i + 3] > 200) seen.add([...data.subarray(i, i + 3)].join())
        return seen.size
      })
    })()`)
  const tooWide = (page: Page, width: number): Promise<boolean> =>
    page.evaluate(`document.documentElement.scrollWidth > ${width}`)

  const reports: readonly (readonly [string, () => string, number])[] = [
    ['one run', () => profileHtml(profileReport()), 3],
    ['everything', () => profileHtml(fullReport()), 3],
    ['an invalid run', () => profileHtml(profileReport({ runs: [invalidRun()] })), 3],
    ['nothing', () => profileHtml(profileReport({ runs: [], notes: [] })), 0],
    ['one second', () => profileHtml(profileReport({ runs: [run({ points: 1 })] })), 3],
    ['service levels', () => slaHtml(slaReport()), 4],
    ['service levels of nothing', () => slaHtml(slaReport({ objectives: [], models: [] })), 0],
  ]
  it.each(reports)(
    '%s: draws its charts, asks for nothing, complains of nothing, wide and on a telephone',
    async (name, html, charts) => {
      const looks = { light: WIDE, dark: { ...WIDE, colorScheme: 'dark' as const }, phone: PHONE }
      for (const [look, options] of Object.entries(looks)) {
        const { page, problems, others } = await open(html(), options)
        const drawn = await colours(page)
        expect(drawn.length, look).toBe(charts)
        expect(Math.min(2, ...drawn), look).toBeGreaterThan(1)
        expect(await tooWide(page, options.viewport.width), look).toBe(false)
        await page.screenshot({
          path: join(screenshots, `report-${name.replaceAll(' ', '-')}-${look}.png`),
          fullPage: true,
        })
        expect(problems, look).toEqual([])
        expect(others(), look).toEqual([])
        await page.close()
      }
    },
  )

  it('opens 50 runs with a series of 100,000 points, folded, and draws what is unfolded', async () => {
    const runs = [
      run({ points: 100_000 }),
      ...Array.from({ length: 49 }, (_, i) => run({ points: 300, rate: 100 + i, seed: i })),
    ]
    const { page, problems } = await open(profileHtml(profileReport({ runs })))
    expect(await colours(page)).toHaveLength(2)
    await page.locator('a[href="#run-1"]').click()
    await expect.poll(async () => (await colours(page)).filter((n) => n > 1).length).toBe(5)
    expect(problems).toEqual([])
    await page.close()
  })

  it('shows hostile names as text, and lets no script in', async () => {
    for (const html of [profileHtml(withHostileStrings(fullReport())), slaHtml(withHostileStrings(slaReport()))]) {
      const { page, problems, others } = await open(html, PHONE)
      expect(await page.locator('img').count()).toBe(0)
      expect(await tooWide(page, PHONE.viewport.width)).toBe(false)
      expect(await page.locator('h1').textContent()).toContain(HOSTILE.slice(0, 40))
      expect(problems).toEqual([])
      expect(others()).toEqual([])
      // What the policy is for: markup that came in all the same would run nothing and load nothing.
      const reached = await page.evaluate(`(async () => {
        const blocked = []
        document.addEventListener('securitypolicyviolation', (event) => blocked.push(event.effectiveDirective))
        const place = document.createElement('div')
        place.innerHTML = '<img src="http://127.0.0.1:9/x" onerror="window.ran = true"><p style="color:red">'
        document.body.append(place)
        const script = document.createElement('script')
        script.textContent = 'window.ran = true'
        document.body.append(script)
        await fetch('http://127.0.0.1:9/x').catch(() => {})
        await new Promise((resolve) => setTimeout(resolve, 200))
        return { ran: 'ran' in window, blocked: [...new Set(blocked)].sort() }
      })()`)
      expect(reached).toEqual({
        ran: false,
        blocked: ['connect-src', 'img-src', 'script-src-attr', 'script-src-elem', 'style-src-attr'],
      })
      await page.close()
    }
  })

  it('shows the values under the pointer', async () => {
    const { page } = await open(profileHtml(profileReport()))
    await page.locator('.plot-latency .u-over').hover({ position: { x: 200, y: 60 } })
    const chart = page.locator('figure', { has: page.locator('.plot-latency') })
    await expect.poll(() => chart.locator('[data-series="p99"]').textContent()).toMatch(/^\d.*s$/)
    expect(await chart.locator('.chart-title').textContent()).toMatch(/^Latency over time: \d+(\.\d)? s$/)
    await page.close()
  })

  it('is painted anew for another colour scheme, and for paper', async () => {
    const { page, problems } = await open(profileHtml(profileReport()))
    const picture = () => page.evaluate("document.querySelector('canvas').toDataURL()")
    const light = await picture()
    await page.emulateMedia({ colorScheme: 'dark' })
    await expect.poll(picture).not.toBe(light)
    await page.emulateMedia({ colorScheme: 'light' })
    await expect.poll(picture).toBe(light)
    const paper = await page.pdf({ format: 'A4' })
    expect(paper.subarray(0, 5).toString()).toBe('%PDF-')
    await page.emulateMedia({ media: 'print' })
    await page.screenshot({ path: join(screenshots, 'report-print.png'), fullPage: true })
    expect(problems).toEqual([])
    await page.close()
  })
})
