const FIRST_MS = 1000
const LONGEST_MS = 5 * 60 * 1000
/** A receiver may ask for more time than the schedule has, but not for ever. */
const LONGEST_ASKED_MS = 60 * 60 * 1000

/**
 * Milliseconds before attempt `attempt` (2 is the first retry): exponential with full jitter (M. Brooker, "Exponential
 * backoff and jitter", AWS Architecture Blog, 2015), bounded; `retryAfterMs`, what the receiver asked for, is the least.
 */
export function retryDelay(attempt: number, retryAfterMs: number | undefined, random: () => number): number {
  const bound = Math.min(LONGEST_MS, FIRST_MS * 2 ** (attempt - 2))
  const asked = Math.min(LONGEST_ASKED_MS, retryAfterMs ?? 0)
  return Math.max(asked, random() * bound)
}

/** The header Retry-After (RFC 9110, 10.2.3): seconds or a date. Undefined where it is neither. */
export function retryAfter(header: unknown, now: number): number | undefined {
  const text = Array.isArray(header) ? String(header[0]) : typeof header === 'string' ? header.trim() : ''
  if (/^\d{1,10}$/.test(text)) return Number(text) * 1000
  const at = /^[A-Za-z]{3},/.test(text) ? Date.parse(text) : Number.NaN
  return Number.isNaN(at) ? undefined : Math.max(0, at - now)
}

/** Whether the answer may be another one later: RFC 9110 says so of 408 and 503, RFC 6585 of 429, custom of all 5xx. */
export function mayPass(status: number): boolean {
  return status === 408 || status === 429 || status >= 500
}
