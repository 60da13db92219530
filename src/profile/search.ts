import type { RateSearch } from './report-types.js'

/** What one run at one rate says. */
export interface Trial {
  /** The percentile, microseconds; requests that did not succeed count as an hour. */
  readonly us: number
  /** Why the run says nothing about the target: it did not keep its schedule, or had too few requests. */
  readonly invalid?: string
}

export interface SearchOptions {
  /** As `p99`. */
  readonly percentile: string
  readonly limitUs: number
  /** Requests a second that the search begins with; 100 by default. */
  readonly from?: number
  /** It never goes above this. */
  readonly most?: number
  /** How often the rate is looked for; 3 by default. */
  readonly repeats?: number
  /** The bracket that a bisection ends with, as a share of the rate; 0.05 by default. */
  readonly tolerance?: number
  /** Measures one request after another: where that does not keep the limit, no rate does. */
  alone?(): Promise<Trial>
  /** Measures at a rate. Runs of one search have numbers of their own, for their seeds. */
  trial(rate: number, number: number, repeat: number): Promise<Trial>
}

/** A run that says nothing is made once more; a machine that is busy for a moment should not end a search. */
const TRIES = 2
const LOWEST = 0.1
/** So many rates, one below the other, of which no run said anything: the search gives up. */
const HOPELESS = 4

/**
 * The highest rate at which a percentile stays within a limit. Each repeat doubles or halves the rate until it has one
 * that is kept and one that is not, and bisects between them (geometrically) until they are `tolerance` apart; the later
 * repeats start from what the first found, with other seeds. The answer is the median of the repeats, with their spread:
 * near the limit, whether a run keeps it is a matter of chance.
 *
 * A run whose generator was late neither keeps the limit nor misses it. The search does not go above such a rate, and
 * `why` says so: the true rate may be higher.
 */
export async function findRate(options: SearchOptions): Promise<RateSearch> {
  const { percentile, limitUs, from = 100, repeats = 3 } = options
  const steps: RateSearch['steps'][number][] = []
  const found: number[] = []
  if (options.alone && (await options.alone()).us > limitUs) {
    return { percentile, limitUs, rate: 0, low: 0, high: 0, steps }
  }
  for (let repeat = 1; repeat <= repeats; repeat++) {
    const first = found[0] ?? 0
    found.push(await bisect(options, repeat, first > 0 ? first : from, first > 0 ? 1.25 : 2, steps))
  }
  found.sort((a, b) => a - b)
  const rate = median(found)
  return { percentile, limitUs, rate, low: found[0] ?? 0, high: found.at(-1) ?? 0, steps }
}

async function bisect(
  options: SearchOptions,
  repeat: number,
  start: number,
  factor: number,
  steps: RateSearch['steps'][number][],
): Promise<number> {
  const { limitUs, most = Number.POSITIVE_INFINITY, tolerance = 0.05 } = options
  const kept = async (rate: number): Promise<boolean> => {
    const trial = await valid(options, rate, repeat, steps.length)
    const ok = trial.invalid === undefined && trial.us <= limitUs
    steps.push({ rate, repeat, us: trial.us, ok, ...(trial.invalid === undefined ? {} : { why: trial.invalid }) })
    return ok
  }
  let low = 0
  let high = Number.POSITIVE_INFINITY
  let step = factor
  for (
    let rate = Math.min(start, most);
    low === 0 || high === Number.POSITIVE_INFINITY;
    step = Math.min(2, step * step)
  ) {
    if (await kept(rate)) low = rate
    else high = rate
    if (low >= most) return most
    if (high <= LOWEST) return 0
    // A machine too busy to send a sixteenth of the rate will not be less so at a hundredth.
    if (low === 0 && steps.slice(-HOPELESS).filter((past) => past.why !== undefined).length === HOPELESS) return 0
    // Below the first rate and above it alike: away from what is known, until the other side is known too.
    if (low === 0) rate = Math.max(LOWEST, high / step)
    else if (high === Number.POSITIVE_INFINITY) rate = Math.min(most, low * step)
  }
  while (high / low > 1 + tolerance) {
    const middle = Math.sqrt(low * high)
    const rate = middle >= 20 ? Math.round(middle) : Number(middle.toFixed(2))
    if (rate <= low || rate >= high) break
    if (await kept(rate)) low = rate
    else high = rate
  }
  return low
}

async function valid(options: SearchOptions, rate: number, repeat: number, number: number): Promise<Trial> {
  let trial: Trial = { us: Number.POSITIVE_INFINITY }
  for (let i = 0; i < TRIES; i++) {
    trial = await options.trial(rate, number * TRIES + i, repeat)
    if (trial.invalid === undefined) break
  }
  return trial
}

function median(sorted: readonly number[]): number {
  const middle = sorted.length >> 1
  if (sorted.length % 2 === 1) return sorted[middle] as number
  return ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2
}

/** `p99=10ms` */
export function parseGoal(text: string): { percentile: string; share: number; limitUs: number } | undefined {
  const [, digits, limit] = /^p(\d{1,6})=(.+)$/.exec(text.trim()) ?? []
  if (digits === undefined || limit === undefined) return undefined
  // p50 is 0.5, p99 is 0.99, p999 is 0.999.
  const share = Number(`0.${digits}`)
  const limitUs = parseTime(limit)
  if (!(share > 0 && share < 1) || limitUs === undefined) return undefined
  return { percentile: `p${digits}`, share, limitUs }
}

/** `10ms`, `250us`, `1.5s` as microseconds. */
export function parseTime(text: string): number | undefined {
  const [, digits, unit] = /^(\d+(?:\.\d+)?)\s*(us|µs|ms|s)$/.exec(text.trim()) ?? []
  const value = Number(digits) * ({ us: 1, µs: 1, ms: 1e3, s: 1e6 }[unit ?? ''] ?? Number.NaN)
  return value > 0 ? value : undefined
}
