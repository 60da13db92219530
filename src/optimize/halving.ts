import { derivedSeed, seededRandom } from '../profile/random.js'
import { capacityOf } from './estimate.js'
import type { Candidate, Figures, MeasureBudget } from './types.js'

/** One stage of the search. */
export interface Rung {
  /** Seconds of load a measurement, and requests that a run in it should have. */
  readonly seconds: number
  readonly requests: number
  /** Each candidate is measured so often, in a process of its own, in turns with the others. */
  readonly repeats: number
  /** So many go on; 0 after the last stage. */
  readonly keep: number
}

export interface RungOptions {
  readonly candidates: number
  /** Of the last stage. */
  readonly repeats: number
  /** Seconds of load of one measurement of the last stage. */
  readonly seconds: number
}

/** A third goes on. */
const ETA = 3
/** With so few left nothing is gained by dropping more before the last stage. */
export const FINALISTS = 4
/** What a candidate gets in each stage before the last, of what it gets in the last: the last but one, the one before. */
const SHARES = [1 / 4, 1 / 12, 1 / 36] as const
/** Shorter ones would meet too few requests to tell anything. */
const LEAST_SECONDS = 1

/** The stages for so many candidates. */
export function rungsOf({ candidates, repeats, seconds }: RungOptions): Rung[] {
  const counts = [candidates]
  for (let last = candidates; last > FINALISTS && counts.length <= SHARES.length; ) {
    last = Math.max(FINALISTS, Math.ceil(last / ETA))
    counts.push(last)
  }
  return counts.map((_, place): Rung => {
    const before = counts.length - 1 - place
    if (before === 0) return { seconds, requests: 1000, repeats, keep: 0 }
    const share = SHARES[before - 1] as number
    return {
      seconds: Math.max(LEAST_SECONDS, seconds * repeats * share),
      requests: before === 1 ? 300 : 100,
      repeats: 1,
      keep: counts[place + 1] as number,
    }
  })
}

/** Seconds that a process takes beside its load: to start, to load the model, to get warm, before each of its runs too. */
export const OVERHEAD_SECONDS = 4

/** Expected seconds of the stages; more candidates than `keep` may go on, where a kind of setting has to be shown. */
export function expectedSeconds(rungs: readonly Rung[], candidates: number, kinds: number): number {
  let count = candidates
  return rungs.reduce((sum, { seconds, repeats, keep }) => {
    const cost = count * repeats * (seconds + OVERHEAD_SECONDS)
    count = Math.min(count, keep + Math.ceil(kinds / 2))
    return sum + cost
  }, 0)
}

/** The longest last stage with which the search ends within the budget. */
export function secondsFor(budget: number, candidates: number, repeats: number, kinds: number): number {
  let low = LEAST_SECONDS
  let high = 120
  for (let i = 0; i < 30; i++) {
    const seconds = (low + high) / 2
    const rungs = rungsOf({ candidates, repeats, seconds })
    if (expectedSeconds(rungs, candidates, kinds) <= budget) low = seconds
    else high = seconds
  }
  return Math.round(low * 10) / 10
}

export interface HalvingOptions {
  readonly seed: number
  measure(candidate: Candidate, budget: MeasureBudget): Promise<Figures>
  /**
   * The kind of a candidate: the best of each kind goes on whatever the others do, since the report compares kinds
   * (with and without batching, each precision). Undefined: it may drop out.
   */
  kindOf(candidate: Candidate): string | undefined
  /** Candidates that are only to be shown: they end with the first stage. */
  showOnly?(candidate: Candidate): string | undefined
  onRung?(place: number, candidates: readonly Candidate[]): void
}

export interface Halved {
  readonly candidate: Candidate
  /** Place of its last stage. */
  readonly rung: number
  readonly finalist: boolean
  readonly dropped?: string
  /** Of all stages, oldest first. */
  readonly figures: readonly Figures[]
  /** Capacity in each repeat of its last stage. */
  readonly each: readonly number[]
}

/**
 * Successive halving (Jamieson, Talwalkar, "Non-stochastic best arm identification and hyperparameter optimization",
 * AISTATS 2016): all candidates are measured for a short time, the best third for longer, and so on; the last few several
 * times, in turns. Each decision is a function of the figures and the seed alone, so that figures from a journal lead
 * the same way.
 */
export async function halve(
  candidates: readonly Candidate[],
  rungs: readonly Rung[],
  options: HalvingOptions,
): Promise<Halved[]> {
  const state = new Map(candidates.map((one) => [one.id, { candidate: one, figures: [] as Figures[] }]))
  const ended = new Map<string, Halved>()
  let alive = [...candidates]
  for (const [place, rung] of rungs.entries()) {
    options.onRung?.(place, alive)
    const each = new Map<string, number[]>(alive.map((one) => [one.id, []]))
    for (let repeat = 0; repeat < rung.repeats; repeat++) {
      // Which comes first would matter on a machine that gets slower: each repeat has an order of its own.
      for (const one of shuffled(alive, derivedSeed(options.seed, 31 * place + repeat))) {
        const before = state.get(one.id)?.figures.at(-1)
        const { seconds, requests } = rung
        const hint = before && before.capacity > 0 ? { hint: before.capacity } : {}
        const figures = await options.measure(one, { rung: place, repeat, seconds, requests, ...hint })
        state.get(one.id)?.figures.push(figures)
        each.get(one.id)?.push(figures.capacity)
      }
    }
    const scored = alive
      .map((one) => ({ one, score: capacityOf(each.get(one.id) ?? []).value }))
      .sort((a, b) => b.score - a.score)
    const last = place === rungs.length - 1
    const goOn = last ? new Set<string>() : survivors(scored, rung.keep, options)
    const threshold = scored.filter(({ one }) => goOn.has(one.id)).at(last ? 0 : rung.keep - 1)?.score ?? 0
    for (const { one, score } of scored) {
      if (goOn.has(one.id)) continue
      const why = last ? undefined : reason(one, score, threshold, state.get(one.id)?.figures.at(-1), options)
      ended.set(one.id, {
        candidate: one,
        rung: place,
        finalist: last,
        ...(why === undefined ? {} : { dropped: why }),
        figures: state.get(one.id)?.figures ?? [],
        each: each.get(one.id) ?? [],
      })
    }
    alive = alive.filter((one) => goOn.has(one.id))
    if (alive.length === 0) break
  }
  return candidates.flatMap((one) => ended.get(one.id) ?? [])
}

function survivors(
  scored: readonly { one: Candidate; score: number }[],
  keep: number,
  { kindOf, showOnly }: HalvingOptions,
): Set<string> {
  const able = scored.filter(({ one, score }) => score > 0 && showOnly?.(one) === undefined)
  const chosen = new Set(able.slice(0, keep).map(({ one }) => one.id))
  const kinds = new Set<string>()
  for (const { one } of able) {
    const kind = kindOf(one)
    if (kind === undefined || kinds.has(kind)) continue
    kinds.add(kind)
    chosen.add(one.id)
  }
  return chosen
}

function reason(
  one: Candidate,
  score: number,
  threshold: number,
  figures: Figures | undefined,
  { showOnly }: HalvingOptions,
): string {
  const shown = showOnly?.(one)
  if (shown !== undefined) return shown
  if (figures?.failed !== undefined) return `could not be measured: ${figures.failed}`
  if (score === 0)
    return figures?.bound === undefined ? 'no rate keeps the contract' : `no run could be used: ${figures.bound}`
  return `${rate(score)}, where it took ${rate(threshold)} to go on`
}

const rate = (value: number): string => `${value >= 100 ? Math.round(value) : Number(value.toPrecision(3))}/s`

function shuffled<T>(all: readonly T[], seed: number): T[] {
  const random = seededRandom(seed)
  const copy = [...all]
  for (let i = copy.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1))
    ;[copy[i], copy[j]] = [copy[j] as T, copy[i] as T]
  }
  return copy
}
