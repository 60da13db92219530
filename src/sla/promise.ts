import type { Objective } from './types.js'

// Stand-in until the contract part is merged.
export function promiseOf({ indicator, target }: Objective): string {
  return `${target * 100} % ${indicator.kind}`
}
