import type { Contract } from './types.js'

/** A promise that fewer requests are to keep than these says nothing about p99. */
const LEAST_SHARE = 0.99

/**
 * What a contract promises of a model's latency as `slo.p99Ms` needs it, milliseconds: the tightest of its latency
 * objectives that 99 % of the requests or more are to keep; undefined where it has none.
 */
export function latencyTarget(contract: Contract, model: string): number | undefined {
  const thresholds = contract.objectives.flatMap(({ indicator, target }) =>
    indicator.kind === 'latency' && indicator.model === model && target >= LEAST_SHARE ? [indicator.thresholdUs] : [],
  )
  return thresholds.length === 0 ? undefined : Math.min(...thresholds) / 1000
}
