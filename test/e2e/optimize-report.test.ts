import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { type Browser, chromium } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { OptimizeReport } from '../../src/optimize/types.js'
import { optimizeHtml } from '../../src/report/optimize-html.js'
import { optimizeReport } from '../unit/optimize/sample-report.js'
import { HOSTILE, withHostileStrings } from '../unit/report/sample-reports.js'
import { root } from './server-process.js'

const CHROMIUM =
  process.env.SUBTEN_CHROMIUM ??
  ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync)
const ARGS = ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-sync']
const screenshots = join(root, '.cache/screenshots')
const WIDE = { viewport: { width: 1180, height: 900 } }
const LOOKS = {
  light: WIDE,
  dark: { ...WIDE, colorScheme: 'dark' as const },
  phone: { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true },
}

describe.skipIf(!CHROMIUM)(
  'the report of a search in Chromium (skipped where Chromium is absent)',
  { timeout: 90_000 },
  () => {
    let browser: Browser
    let folder: string
    beforeAll(async () => {
      mkdirSync(screenshots, { recursive: true })
      folder = mkdtempSync(join(tmpdir(), 'subten-optimize-report-'))
      browser = await chromium.launch({ executablePath: CHROMIUM, headless: true, args: ARGS })
    }, 90_000)
    afterAll(async () => {
      await browser?.close()
      rmSync(folder, { recursive: true, force: true })
    })

    const reports: readonly (readonly [string, () => Promise<OptimizeReport>, number])[] = [
      ['full', () => optimizeReport(), 3],
      ['at a rate', () => optimizeReport({ rate: 300 }), 3],
      ['without data', () => optimizeReport({ data: false }), 1],
      [
        'of nothing',
        async () =>
          ({
            ...(await optimizeReport()),
            results: [],
            variants: [],
            recommendation: undefined,
            baseline: undefined,
            gain: undefined,
          }) as unknown as OptimizeReport,
        0,
      ],
    ]
    it.each(reports)(
      '%s: draws its charts, asks for nothing, complains of nothing, wide, dark and on a telephone',
      async (name, make, charts) => {
        const html = optimizeHtml(await make())
        const file = join(folder, 'report.html')
        writeFileSync(file, html)
        for (const [look, options] of Object.entries(LOOKS)) {
          const page = await browser.newPage(options)
          const problems: string[] = []
          const requests: string[] = []
          page.on('pageerror', (error) => problems.push(String(error)))
          page.on('console', (message) => {
            // Of this test's own reading of canvases, not of the page.
            if (!message.text().includes('willReadFrequently')) problems.push(message.text())
          })
          page.on('request', (request) => requests.push(request.url()))
          await page.goto(pathToFileURL(file).href)
          const colours: number[] =
            await page.evaluate(`[...document.querySelectorAll('[data-chart] canvas')].map((canvas) => {
        const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)
        const seen = new Set()
        for (let i = 0; i < data.length; i += 4) if (data[i + 3] > 200) seen.add([...data.subarray(i, i + 3)].join())
        return seen.size
      })`)
          expect(colours.length, look).toBe(charts)
          expect(Math.min(2, ...colours), look).toBeGreaterThan(1)
          expect(await page.evaluate(`document.documentElement.scrollWidth > ${options.viewport.width}`), look).toBe(
            false,
          )
          await page.screenshot({
            path: join(screenshots, `optimize-${name.replaceAll(' ', '-')}-${look}.png`),
            fullPage: true,
          })
          expect(problems, look).toEqual([])
          expect(
            requests.filter((url) => !url.startsWith('data:')),
            look,
          ).toHaveLength(1)
          await page.close()
        }
      },
    )

    it('shows hostile names as text', async () => {
      const file = join(folder, 'hostile.html')
      writeFileSync(file, optimizeHtml(withHostileStrings(await optimizeReport())))
      const page = await browser.newPage(LOOKS.phone)
      const problems: string[] = []
      page.on('pageerror', (error) => problems.push(String(error)))
      page.on('console', (message) => problems.push(message.text()))
      await page.goto(pathToFileURL(file).href)
      expect(await page.locator('img').count()).toBe(0)
      expect(await page.locator('h1').textContent()).toContain(HOSTILE.slice(0, 40))
      expect(problems).toEqual([])
      await page.close()
    })
  },
)
