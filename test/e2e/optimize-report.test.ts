import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { OptimizeReport } from '../../src/optimize/types.js'
import { optimizeHtml } from '../../src/report/optimize-html.js'
import { optimizeReport } from '../unit/optimize/sample-report.js'
import { HOSTILE, withHostileStrings } from '../unit/report/sample-reports.js'
import { CHROMIUM, PHONE, reportBrowser, screenshots, WIDE } from './chromium.js'

const LOOKS = {
  light: WIDE,
  dark: { ...WIDE, colorScheme: 'dark' as const },
  phone: PHONE,
}

describe.skipIf(!CHROMIUM)(
  'the report of a search in Chromium (skipped where Chromium is absent)',
  { timeout: 90_000 },
  () => {
    const open = reportBrowser()

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
        for (const [look, options] of Object.entries(LOOKS)) {
          const { page, problems, requests } = await open(html, options)
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
      const { page, messages } = await open(optimizeHtml(withHostileStrings(await optimizeReport())), LOOKS.phone)
      expect(await page.locator('img').count()).toBe(0)
      expect(await page.locator('h1').textContent()).toContain(HOSTILE.slice(0, 40))
      expect(messages).toEqual([])
      await page.close()
    })
  },
)
