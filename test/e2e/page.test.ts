import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { type Browser, chromium, type Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { root, type ServerProcess, startServer } from './server-process.js'

const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync)
const ARGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]
const screenshots = join(root, '.cache/screenshots')

describe.skipIf(!CHROMIUM)('the page in Chromium (skipped where /usr/bin/chromium is absent)', () => {
  let server: ServerProcess
  let browser: Browser
  beforeAll(async () => {
    mkdirSync(screenshots, { recursive: true })
    server = await startServer()
    browser = await chromium.launch({ executablePath: CHROMIUM, headless: true, args: ARGS })
  })
  afterAll(async () => {
    await browser?.close()
    await server?.end()
  })

  async function open(options: Parameters<Browser['newPage']>[0] = {}): Promise<{ page: Page; problems: string[] }> {
    const page = await browser.newPage({ viewport: { width: 1000, height: 860 }, ...options })
    const problems: string[] = []
    page.on('pageerror', (error) => problems.push(String(error)))
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') problems.push(message.text())
    })
    await page.goto(server.url)
    await expect.poll(() => page.locator('#model').inputValue()).not.toBe('')
    return { page, problems }
  }

  /** Strokes in the canvas's own 280 × 280. */
  async function draw(page: Page, strokes: [number, number][][]): Promise<void> {
    const box = await page.locator('#pad').boundingBox()
    if (!box) throw new Error('there is no canvas')
    for (const [first, ...rest] of strokes) {
      await page.mouse.move(box.x + (first?.[0] ?? 0), box.y + (first?.[1] ?? 0))
      await page.mouse.down()
      for (const [x, y] of rest) await page.mouse.move(box.x + x, box.y + y, { steps: 12 })
      await page.mouse.up()
    }
  }

  const shows = (page: Page, digit: string) =>
    expect.poll(() => page.locator('#digit').textContent(), { timeout: 10_000 }).toBe(digit)

  it('reads a digit that is drawn with the mouse, and shows its stages', async () => {
    const { page, problems } = await open()
    await draw(page, [
      [
        [80, 60],
        [205, 60],
        [130, 230],
      ],
    ])
    await shows(page, '7')
    expect(await page.locator('#bars li').count()).toBe(10)
    expect(await page.locator('#bars .best').textContent()).toMatch(/^7/)
    const stages = await page.locator('#stages li').allTextContents()
    expect(stages.join()).toMatch(/decode.*preprocess.*compute.*µs|ms/)
    expect(await page.locator('#track i').count()).toBe(stages.length)
    expect(await page.locator('#server-p99').textContent()).toMatch(/µs|ms/)
    await page.screenshot({ path: join(screenshots, 'page-light.png'), fullPage: true })
    expect(problems).toEqual([])
    await page.close()
  })

  it('clears by its button and by the Escape key', async () => {
    const { page } = await open()
    for (const clear of [() => page.locator('#clear').click(), () => page.keyboard.press('Escape')]) {
      await draw(page, [
        [
          [140, 40],
          [140, 240],
        ],
      ])
      await shows(page, '1')
      await clear()
      await shows(page, '–')
      expect(await page.locator('#bars li').count()).toBe(0)
    }
    await page.close()
  })

  it('asks the model that is chosen', async () => {
    const { page } = await open({ colorScheme: 'dark' })
    await page.locator('#model').selectOption('digits_int8')
    await page.locator('#sample').click()
    await shows(page, '7')
    expect(await page.locator('#served').textContent()).toContain('digits_int8')
    await page.screenshot({ path: join(screenshots, 'page-dark.png'), fullPage: true })
    await page.close()
  })

  it('fits a telephone, and takes a finger', async () => {
    const { page } = await open({ viewport: { width: 375, height: 800 }, hasTouch: true, isMobile: true })
    const width = await page.evaluate('document.documentElement.scrollWidth')
    expect(width).toBeLessThanOrEqual(375)
    const box = await page.locator('#pad').boundingBox()
    await page.touchscreen.tap((box?.x ?? 0) + 100, (box?.y ?? 0) + 100)
    await expect.poll(() => page.locator('#digit').textContent()).not.toBe('–')
    await page.screenshot({ path: join(screenshots, 'page-narrow.png'), fullPage: true })
    await page.close()
  })

  it('says so when the server is gone', async () => {
    const own = await startServer()
    const page = await browser.newPage()
    await page.goto(own.url)
    await expect.poll(() => page.locator('#model').inputValue()).not.toBe('')
    await own.end()
    await page.locator('#sample').click()
    await page.waitForSelector('#problem:not([hidden])')
    expect(await page.locator('#problem').textContent()).toContain('does not answer')
    await page.close()
  })
})
