import { valueAtRank } from './histogram.js'
import { measure, type Profiled, type ProfileOptions } from './profile.js'
import { derivedSeed } from './random.js'
import type { Trial } from './search.js'
import type { Target } from './target.js'

/** The longest run that a trial is stretched to where a percentile needs more requests, seconds. */
const LONGEST = 60
/** Requests beyond a percentile that a trial should have. */
const BEYOND = 10

/** An hour, the most that a histogram holds: JSON has no infinity. */
const FOR_EVER_US = 3_600e6

/** One request after another, for as long as a trial takes. */
export async function trialAlone(target: Target, options: Omit<ProfileOptions, 'load'>, share: number): Promise<Trial> {
  const { warmup = 'auto', warmupMaxSeconds = 3, seconds = 2 } = options
  const load = { kind: 'closed', concurrency: 1 } as const
  const profiled = await measure(target, { ...options, seconds, warmup, warmupMaxSeconds, load })
  return { us: percentileOfSent(profiled, share) }
}

/** One run of a search: Poisson arrivals at a rate, with a seed of its own. */
export async function trialAt(
  target: Target,
  options: Omit<ProfileOptions, 'load'>,
  rate: number,
  share: number,
  number: number,
): Promise<Trial> {
  const seed = derivedSeed(options.seed ?? 1, 1000 + number)
  const wanted = BEYOND / (1 - share) / rate
  const seconds = Math.min(Math.max(options.seconds ?? 2, wanted * 1.1), Math.max(LONGEST, options.seconds ?? 0))
  const { warmup = 'auto', warmupMaxSeconds = 3 } = options
  const profiled = await measure(target, {
    ...options,
    seed,
    seconds,
    warmup,
    warmupMaxSeconds,
    load: { kind: 'poisson', rate },
  })
  const us = percentileOfSent(profiled, share)
  const { schedule, requests } = profiled.run
  if (schedule && !schedule.kept) return { us, invalid: `the schedule was not kept: ${schedule.reason}` }
  if (requests.sent * (1 - share) < 1) return { us, invalid: `only ${requests.sent} requests in ${seconds} s` }
  return { us }
}

/** A percentile of all that was sent: what was refused, failed or never came took for ever. */
export function percentileOfSent({ run, latency }: Profiled, share: number): number {
  const rank = Math.ceil(share * run.requests.sent)
  return rank > latency.count ? FOR_EVER_US : valueAtRank(latency, rank) / 1000
}
