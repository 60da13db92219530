import { findCapacity } from '../../../src/optimize/capacity.js'
import { OVERHEAD_SECONDS } from '../../../src/optimize/halving.js'
import type { Candidate, Figures, MeasureBudget, TrialFigures } from '../../../src/optimize/types.js'
import { derivedSeed, seededRandom } from '../../../src/profile/random.js'

/** An engine that is only a formula: what a batch of n rows takes, on so many threads. */
export interface SyntheticEngine {
  readonly cpus: number
  /** Microseconds of one thread: of a run, and of each row in it. */
  cost(variant: string): { readonly baseUs: number; readonly rowUs: number }
  /** Share of the work that threads divide among themselves (Amdahl). */
  readonly parallel: number
  /** Spread of one run's time, and of what one process is like, as standard deviations of logarithms. */
  readonly runNoise: number
  readonly processNoise: number
  readonly limitUs: number
}

/** Measures as a process of its own would: the real search, over a simulated queue of batches. */
export async function measureSynthetic(
  engine: SyntheticEngine,
  one: Candidate,
  { seconds, requests, hint, rung, repeat }: Pick<MeasureBudget, 'seconds' | 'requests' | 'hint' | 'rung' | 'repeat'>,
  seed: number,
  trials = 6,
): Promise<Figures> {
  const own = derivedSeed(
    seed,
    [...one.id].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) >>> 0, 7) + 1000 * rung + repeat,
  )
  const factor = Math.exp(engine.processNoise * normal(seededRandom(own)))
  const base = seconds / trials
  let cost = OVERHEAD_SECONDS
  const rows = one.batching.kind === 'off' ? 1 : one.batching.maxBatch
  const found = await findCapacity({
    limitUs: engine.limitUs,
    from: hint ?? (0.8e6 * rows * one.instances) / serviceUs(engine, one, rows),
    step: hint === undefined ? 1.3 : 1.1,
    trials,
    trial: async (rate, number) => {
      const length = Math.min(4 * base, Math.max(base, requests / rate))
      cost += length
      return simulate(engine, one, rate, length, factor, derivedSeed(own, number))
    },
  })
  return { ...found, aloneUs: serviceUs(engine, one, 1), peakRssMb: 100, cpuUs: 1000, seconds: cost }
}

/** What a run of n rows takes, microseconds: threads share part of it, and threads beyond the CPUs take turns. */
export function serviceUs({ cost, parallel, cpus }: SyntheticEngine, one: Candidate, rows: number): number {
  const { baseUs, rowUs } = cost(one.variant)
  const threads = Math.max(1, one.threads)
  const speed = 1 / (1 - parallel + parallel / threads)
  const crowded = Math.max(1, (one.instances * threads) / cpus)
  return ((baseUs + rowUs * rows) / speed) * crowded
}

/** First come, first served, by instances that form batches as Triton's settings say; Poisson arrivals. */
export function simulate(
  engine: SyntheticEngine,
  one: Candidate,
  rate: number,
  seconds: number,
  factor: number,
  seed: number,
): TrialFigures {
  const random = seededRandom(seed)
  const arrivals: number[] = []
  for (let at = 0; ; ) {
    at -= (Math.log(1 - random()) * 1e6) / rate
    if (at >= seconds * 1e6) break
    arrivals.push(at)
  }
  const { batching } = one
  const most = batching.kind === 'off' ? 1 : batching.maxBatch
  const delay = batching.kind === 'static' ? batching.delayUs : 0
  const free = new Array<number>(one.instances).fill(0)
  const latencies = new Float64Array(arrivals.length)
  let count = 0
  for (let next = 0; next < arrivals.length; ) {
    const server = free.indexOf(Math.min(...free))
    const first = arrivals[next] as number
    let start = Math.max(free[server] as number, first)
    const full = arrivals[next + most - 1] ?? Number.POSITIVE_INFINITY
    if (delay > 0 && full > start) start = Math.max(start, Math.min(full, first + delay))
    let rows = 0
    while (rows < most && next + rows < arrivals.length && (arrivals[next + rows] as number) <= start) rows++
    const end = start + serviceUs(engine, one, rows) * factor * Math.exp(engine.runNoise * normal(random))
    free[server] = end
    for (let i = 0; i < rows; i++) latencies[count++] = end - (arrivals[next + i] as number)
    next += rows
  }
  latencies.sort()
  const at = (share: number): number => latencies[Math.max(0, Math.ceil(share * latencies.length) - 1)] ?? 0
  const good = latencies.filter((us) => us <= engine.limitUs).length
  return {
    rate,
    seconds,
    sent: latencies.length,
    succeeded: latencies.length,
    p50Us: at(0.5),
    p95Us: at(0.95),
    p99Us: at(0.99),
    p999Us: at(0.999),
    throughput: latencies.length / seconds,
    goodput: good / seconds,
  }
}

function normal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
}
