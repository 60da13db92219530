import { addon, type NativeStatus } from '../runtime/binding.js'
import { errorFromNative, SubtenError } from '../runtime/errors.js'

export const POLICIES = ['slo', 'static', 'none', 'aimd', 'regression', 'clockwork', 'symphony'] as const
export type Policy = (typeof POLICIES)[number]

/** What is simulated; native/schedule/sim/options.h has the meanings and defaults. Times in nanoseconds. */
export interface SimulationOptions {
  readonly load: {
    readonly kind: 'poisson' | 'gamma' | 'constant' | 'trace'
    readonly rate?: number
    readonly cv?: number
    readonly traceNs?: readonly number[]
    readonly durationNs: number
    readonly warmUpNs: number
    readonly rows?: readonly [number, number]
    readonly burnt?: readonly [number, number]
    readonly budgetTold?: boolean
    readonly levels?: readonly number[]
    readonly hard?: number
    readonly changes?: readonly (readonly [number, number])[]
  }
  readonly engine: {
    readonly instances: number
    readonly baseNs?: number
    readonly rowNs?: number
    readonly table?: readonly (readonly [number, number])[]
    readonly noise?: number
    /** By instance: its batches take this many times as long. */
    readonly paces?: readonly number[]
    readonly drifts?: readonly (readonly [number, number])[]
    readonly stalls?: readonly (readonly [number, number])[]
  }
  readonly policy: { readonly kind: Policy; readonly delayNs?: number; readonly expires?: boolean }
  readonly targetNs: number
  readonly maxBatch: number
  readonly maxQueue?: number
  readonly probe?: number
  readonly seed?: number
}

/** Of the requests that came after the warm-up. Quantiles in nanoseconds; -1: of those without an answer. */
export interface SimulationFigures {
  readonly offered: number
  readonly admitted: number
  readonly refused: number
  readonly queueFull: number
  readonly dropped: number
  readonly expired: number
  readonly late: number
  readonly good: number
  readonly probed: number
  readonly probedGood: number
  readonly batches: number
  readonly rows: number
  readonly busyNs: number
  readonly spanNs: number
  /** Rows a second of all instances at their best size. */
  readonly saturation: number
  readonly answeredP50: number
  readonly answeredP99: number
  readonly admittedP50: number
  readonly admittedP99: number
  readonly windowNs: number
  readonly offeredSeries: readonly number[]
  readonly goodSeries: readonly number[]
}

/** Simulates a load on a thread of its own. */
export async function simulate(options: SimulationOptions): Promise<SimulationFigures> {
  const call = addon().simulate
  if (!call) {
    throw new SubtenError('UNSUPPORTED_PLATFORM', 'the native addon is older than this version and cannot simulate')
  }
  const answer: string | NativeStatus = await call(JSON.stringify(options))
  if (typeof answer !== 'string') throw errorFromNative(answer.status, answer.message)
  return JSON.parse(answer) as SimulationFigures
}

/** Sums of counts, and the worst of each quantile, over seeds. */
export function together(runs: readonly SimulationFigures[]): SimulationFigures {
  const [first, ...rest] = runs as readonly [SimulationFigures, ...SimulationFigures[]]
  const sum: Record<string, unknown> = { ...first }
  for (const run of rest) {
    for (const [key, value] of Object.entries(run)) {
      if (typeof value !== 'number' || key === 'saturation' || key === 'windowNs') continue
      const before = sum[key] as number
      if (!/P\d+$/.test(key)) sum[key] = before + value
      else sum[key] = before < 0 || value < 0 ? -1 : Math.max(before, value)
    }
  }
  return sum as unknown as SimulationFigures
}
