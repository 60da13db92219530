// Noise as it is met on small shared machines, of which no test of a statistic may assume the shape: heavy tails, slow
// drift, bursts of other programs, and processes that come up in one of two states.

import { pairedRatio } from '../../../src/profile/paired-ratio.js'
import { seededRandom } from '../../../src/profile/random.js'
import type { Estimate } from '../../../src/profile/report-types.js'

type Random = () => number
/** Gives the logarithm of what the noise multiplies a figure with, run after run. */
type Noise = () => number

const normal = (random: Random): number => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())

/** Student's t with three degrees of freedom: its fourth moment does not exist. */
function heavy(random: Random): number {
  const [a, b, c] = [normal(random), normal(random), normal(random)]
  return normal(random) / Math.sqrt((a * a + b * b + c * c) / 3)
}

export const NOISES: Readonly<Record<string, (random: Random) => Noise>> = {
  'heavy tails on a drift that lasts ten runs': (random) => {
    let drift = 0
    return () => {
      drift = 0.9 * drift + 0.02 * heavy(random)
      return drift + 0.02 * heavy(random)
    }
  },
  'a random walk with jumps': (random) => {
    let walk = 0
    return () => {
      walk += 0.04 * heavy(random)
      return walk
    }
  },
  'one run in four in a slower state': (random) => () => (random() < 0.25 ? 0.12 : 0) + 0.015 * heavy(random),
  'bursts of other programs': (random) => {
    let drift = 0
    let left = 0
    return () => {
      drift = 0.95 * drift + 0.015 * normal(random)
      if (left > 0) left--
      else if (random() < 0.02) left = 1 + Math.floor(3 * random())
      return drift + 0.015 * normal(random) + (left > 0 ? Math.log(1 + 0.2 * (1 - random()) ** (-1 / 1.5)) : 0)
    }
  },
}

/** One comparison of two builds in turns, a coin saying which goes first; the second takes `times` as long. */
export function compared(noise: (random: Random) => Noise, times: number, rounds: number, seed: number): Estimate {
  const random = seededRandom(seed)
  const next = noise(random)
  for (let i = 0; i < 20; i++) next() // the drift has begun long before
  const before: number[] = []
  const after: number[] = []
  for (let round = 0; round < rounds; round++) {
    const first = next()
    const second = next()
    const swapped = random() < 0.5
    before.push(200 * Math.exp(swapped ? second : first))
    after.push(200 * times * Math.exp(swapped ? first : second))
  }
  return pairedRatio(before, after, 0.999)
}

/** At least 5 % and the interval excludes 1: as compare.ts has it. */
export const isReal = ({ value, low, high }: Estimate): boolean =>
  (value >= 1.05 || value <= 1 / 1.05) && (low > 1 || high < 1)
