import { UsageError } from './report.js'

const TIMEOUT_MS = 10_000

/** Asks a server for JSON; what is wrong becomes a sentence that says what to do. */
export async function askServer<T>(address: string, path: string): Promise<T> {
  const url = addressOf(address, path)
  let response: Response
  try {
    response = await fetch(url, { signal: AbortSignal.timeout(TIMEOUT_MS), redirect: 'manual' })
  } catch (error) {
    const cause = (error as { cause?: { code?: string } }).cause?.code ?? (error as Error).message
    throw new Error(
      `there is no answer from ${url.origin} (${cause}): is \`subten serve\` running, or is --url another?`,
    )
  }
  const text = await response.text()
  if (!response.ok) throw new Error(`${url.href} answered ${response.status}: ${messageOf(text)}`)
  try {
    return JSON.parse(text) as T
  } catch {
    throw new Error(`${url.href} is no subten server: it did not answer JSON`)
  }
}

function addressOf(address: string, path: string): URL {
  try {
    const url = new URL(address)
    if (!/^https?:$/.test(url.protocol)) throw new TypeError()
    return new URL(url.pathname.replace(/\/*$/, '') + path, url)
  } catch {
    throw new UsageError(`--url takes an address such as http://127.0.0.1:8000, not ${address}`)
  }
}

function messageOf(text: string): string {
  try {
    const { error } = JSON.parse(text) as { error?: { message?: string; remedy?: string } }
    return [error?.message, error?.remedy].filter(Boolean).join('. ') || 'it gave no reason'
  } catch {
    return text.slice(0, 200)
  }
}
