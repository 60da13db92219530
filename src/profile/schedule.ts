import type { OpenLoad } from './load-plan.js'
import { seededRandom } from './random.js'

/** Send times, one after another, nanoseconds since the load began; Infinity when there are no more. */
export interface Schedule {
  next(): number
}

/**
 * The send times of a load, made one at a time from its seed: the same seed gives the same times, and a run of a day
 * takes no more memory than one of a second.
 *
 * @param seconds over which a ramp goes from its first to its last rate
 * @param trace nanoseconds, for a replay; already divided by its speed
 */
export function scheduleOf(load: OpenLoad, seconds: number, trace?: Float64Array): Schedule {
  switch (load.kind) {
    case 'constant': {
      const gap = 1e9 / load.rate
      let n = 0
      // Multiplied, not added up: after a billion requests the sum would be off by its rounding.
      return { next: () => n++ * gap }
    }
    case 'poisson': {
      const random = seededRandom(load.seed)
      return renewal(() => (exponential(random) / load.rate) * 1e9)
    }
    case 'gamma': {
      const random = seededRandom(load.seed)
      const shape = 1 / (load.cv * load.cv)
      return renewal(() => (gamma(shape, random) / shape / load.rate) * 1e9)
    }
    case 'ramp':
      return ramp(load.from, load.to, seconds, seededRandom(load.seed))
    case 'replay': {
      const times = trace ?? new Float64Array()
      let n = 0
      return { next: () => times[n++] ?? Number.POSITIVE_INFINITY }
    }
  }
}

function renewal(gap: () => number): Schedule {
  let at = 0
  return {
    next: () => {
      at += gap()
      return at
    },
  }
}

/** Mean 1. */
function exponential(random: () => number): number {
  return -Math.log(1 - random())
}

function normal(random: () => number): number {
  return Math.sqrt(2 * exponential(random)) * Math.cos(2 * Math.PI * random())
}

/**
 * A gamma variate of scale 1: Marsaglia and Tsang, "A simple method for generating gamma variables", ACM TOMS 26(3),
 * 2000, with their boost for shapes below 1.
 */
function gamma(shape: number, random: () => number): number {
  if (shape < 1) return gamma(shape + 1, random) * (1 - random()) ** (1 / shape)
  const d = shape - 1 / 3
  const c = 1 / Math.sqrt(9 * d)
  for (;;) {
    const x = normal(random)
    const v = (1 + c * x) ** 3
    if (v <= 0) continue
    if (Math.log(1 - random()) < 0.5 * x * x + d - d * v + d * Math.log(v)) return d * v
  }
}

/**
 * A Poisson process with the rate `from + (to - from) t / seconds`, by inversion: arrivals of a process of rate 1 are
 * taken back through the integral of the rate (Çinlar, "Introduction to Stochastic Processes", 1975, section 4.7).
 */
function ramp(from: number, to: number, seconds: number, random: () => number): Schedule {
  const slope = (to - from) / seconds
  let passed = 0
  return {
    next: () => {
      passed += exponential(random)
      const root = from * from + 2 * slope * passed
      // A falling rate has reached 0: nothing arrives any more.
      if (root < 0) return Number.POSITIVE_INFINITY
      return ((2 * passed) / (from + Math.sqrt(root))) * 1e9
    },
  }
}
