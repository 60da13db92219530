import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { type Browser, chromium, type Page } from 'playwright-core'
import { afterAll, beforeAll } from 'vitest'
import { root } from './server-process.js'

/** Tests of pages are skipped, by name, where there is none. */
export const CHROMIUM =
  process.env.SUBTEN_CHROMIUM ??
  ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync)
const ARGS = ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-sync']

export const screenshots = join(root, '.cache/screenshots')
export const WIDE = { viewport: { width: 1180, height: 900 } }
export const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true }

export type PageOptions = Parameters<Browser['newPage']>[0]

/** A report that is open, and what a console and a network would have seen of it. */
export interface Opened {
  readonly page: Page
  /** Everything that was said and thrown. */
  readonly messages: readonly string[]
  /** The same without what tests bring about that read canvases themselves. */
  readonly problems: readonly string[]
  /** Addresses that were asked for, the file's own too. */
  readonly requests: readonly string[]
  /** Of these, but for data within the page, those beside the file. */
  others(): string[]
}

/** Starts a browser for the tests of this `describe`; what it returns opens a report as a file. */
export function reportBrowser(): (html: string, options?: PageOptions) => Promise<Opened> {
  let browser: Browser
  let folder: string
  beforeAll(async () => {
    mkdirSync(screenshots, { recursive: true })
    folder = mkdtempSync(join(tmpdir(), 'subten-report-'))
    browser = await chromium.launch({ executablePath: CHROMIUM, headless: true, args: ARGS })
  }, 90_000)
  afterAll(async () => {
    await browser?.close()
    rmSync(folder, { recursive: true, force: true })
  })
  return async (html, options = WIDE) => {
    const file = join(folder, 'report.html')
    writeFileSync(file, html)
    const page = await browser.newPage(options)
    const messages: string[] = []
    const problems: string[] = []
    const requests: string[] = []
    const heard = (text: string, isProblem = true): void => {
      messages.push(text)
      if (isProblem) problems.push(text)
    }
    page.on('pageerror', (error) => heard(String(error)))
    page.on('console', (message) => heard(message.text(), !message.text().includes('willReadFrequently')))
    page.on('request', (request) => requests.push(request.url()))
    const url = pathToFileURL(file).href
    await page.goto(url)
    const others = (): string[] => requests.filter((each) => each !== url && !each.startsWith('data:'))
    return { page, messages, problems, requests, others }
  }
}
