import { beforeAll, describe, expect, it } from 'vitest'
import { type Halved, halve, OVERHEAD_SECONDS, rungsOf } from '../../../src/optimize/halving.js'
import { choose } from '../../../src/optimize/recommend.js'
import { spaceOf } from '../../../src/optimize/space.js'
import type { Candidate } from '../../../src/optimize/types.js'
import { measureSynthetic, type SyntheticEngine } from './synthetic-engine.js'

const SEEDS = Array.from({ length: 20 }, (_, i) => i + 1)
const REPEATS = 3
const SECONDS = 12

/** A convolution net on a small machine: batching gains little; a dense net: much; a fat run that threads share. */
const ENGINES: readonly (readonly [string, SyntheticEngine])[] = [
  ['batching gains much', engine({ baseUs: 2500, rowUs: 400, parallel: 0.5 })],
  ['batching gains next to nothing', engine({ baseUs: 100, rowUs: 2400, parallel: 0.9 })],
]

function engine({ baseUs, rowUs, parallel }: { baseUs: number; rowUs: number; parallel: number }): SyntheticEngine {
  return {
    cpus: 4,
    parallel,
    runNoise: 0.05,
    processNoise: 0.01,
    limitUs: 20_000,
    cost: (variant) => (variant === 'net' ? { baseUs, rowUs } : { baseUs: baseUs * 0.6, rowUs: rowUs * 0.5 }),
  }
}

const { candidates } = spaceOf(
  ['net', 'net_int8'].map((name) => ({ name, maxBatchSize: 32, engines: [{ name: 'onnxruntime', threads: true }] })),
  { cpus: 4, limitUs: 20_000, instances: [1, 2, 4], threads: [1, 2, 4] },
)

describe.each(ENGINES)('the search on a synthetic engine where %s', (_name, synthetic) => {
  const truth = new Map<string, number>()
  /** What long runs without the noise of processes say. */
  const capacityOf = async (one: Candidate, seconds: number): Promise<number> => {
    const budget = { seconds, requests: 1000, rung: 9, repeat: 9 }
    return (await measureSynthetic({ ...synthetic, processNoise: 0 }, one, budget, 4711)).capacity
  }
  const trueCapacity = async (one: Candidate): Promise<number> => {
    const known = truth.get(one.id) ?? (await capacityOf(one, 180))
    truth.set(one.id, known)
    return known
  }
  let best = 0
  beforeAll(async () => {
    const rough: { one: Candidate; capacity: number }[] = []
    for (const one of candidates) rough.push({ one, capacity: await capacityOf(one, 6) })
    rough.sort((a, b) => b.capacity - a.capacity)
    for (const { one } of rough.slice(0, 12)) best = Math.max(best, await trueCapacity(one))
  }, 60_000)

  it('finds the optimum, or one within 2 % of it, from every seed, at no more than a third of the cost of the grid', async () => {
    const grid = candidates.length * REPEATS * (SECONDS + OVERHEAD_SECONDS)
    const worst: string[] = []
    for (const seed of SEEDS) {
      const { halved, cost } = await search(synthetic, seed)
      const { recommendation } = choose(
        halved.filter(({ finalist }) => finalist),
        'net',
        () => false,
      )
      const chosen = recommendation ? await trueCapacity(recommendation.candidate) : 0
      if (chosen < 0.98 * best)
        worst.push(`seed ${seed}: ${recommendation?.candidate.id} has ${chosen}, the best ${best}`)
      expect(cost).toBeLessThanOrEqual(grid / 3)
    }
    expect(worst).toEqual([])
  }, 60_000)
})

async function search(synthetic: SyntheticEngine, seed: number): Promise<{ halved: Halved[]; cost: number }> {
  let cost = 0
  const rungs = rungsOf({ candidates: candidates.length, repeats: REPEATS, seconds: SECONDS })
  const halved = await halve(candidates, rungs, {
    seed,
    kindOf: ({ variant, batching }: Candidate) => `${variant} ${batching.kind === 'off' ? 'off' : 'on'}`,
    measure: async (one, budget) => {
      const figures = await measureSynthetic(synthetic, one, budget, seed)
      cost += figures.seconds
      return figures
    },
  })
  return { halved, cost }
}
