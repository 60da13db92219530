import type { Load } from './report-types.js'

/** When requests are sent: {@link Load} as a caller writes it. `seed` is that of the options where it is absent. */
export type LoadPlan =
  /** Gaps of an exponential distribution, or all equal; `rate` in requests a second. */
  | { readonly kind: 'poisson' | 'constant'; readonly rate: number; readonly seed?: number }
  /** Gaps of a gamma distribution with coefficient of variation `cv`: 1 is Poisson, above it requests come in bursts. */
  | { readonly kind: 'gamma'; readonly rate: number; readonly cv: number; readonly seed?: number }
  /** Poisson arrivals whose rate goes from `from` to `to` a second in a straight line over the run. */
  | { readonly kind: 'ramp'; readonly from: number; readonly to: number; readonly seed?: number }
  /** The times of a trace file, `speed` times as fast (1). See docs/benchmarking.md for its format. */
  | { readonly kind: 'replay'; readonly file: string; readonly speed?: number }
  /** No schedule: `concurrency` callers that wait for their answer. It hides stalls. */
  | { readonly kind: 'closed'; readonly concurrency: number }

/** Loads that have a schedule. */
export type OpenLoad = Exclude<Load, { kind: 'closed' }>

/** The load in a few words: `Poisson 500/s`. Two runs of the same words are the same measurement; seeds may differ. */
export function loadText(load: Load): string {
  switch (load.kind) {
    case 'poisson':
      return `Poisson ${load.rate}/s`
    case 'constant':
      return `constant ${load.rate}/s`
    case 'gamma':
      return `gamma ${load.rate}/s, cv ${load.cv}`
    case 'ramp':
      return `ramp ${load.from}/s to ${load.to}/s`
    case 'replay':
      return `replay of ${load.file}${load.speed === 1 ? '' : `, ${load.speed} times as fast`}`
    case 'closed':
      return `${load.concurrency} in flight`
  }
}

/** Requests a second of a schedule, on average over `seconds`; of a closed loop nobody knows. */
export function meanRate(load: OpenLoad, seconds: number): number {
  if (load.kind === 'ramp') return (load.from + load.to) / 2
  if (load.kind === 'replay') return load.requests / Math.max(seconds, 1e-9)
  return load.rate
}
