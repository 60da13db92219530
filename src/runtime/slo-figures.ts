import type { SloLatency, SloStats } from './stats.js'

const HEAD = 9
const LATENCY = 6
const BASES: readonly SloLatency['basis'][] = ['measured', 'between', 'beyond']

/** What native code says of scheduling by deadline, in words; undefined where it is off, or not known here. */
export function sloStats(figures: Float64Array | undefined): SloStats | undefined {
  if (figures === undefined || figures[0] !== 1) return undefined
  const at = (index: number): number => figures[index] ?? 0
  const latencies: SloLatency[] = []
  for (let i = HEAD; i + LATENCY <= figures.length; i += LATENCY) {
    latencies.push({
      rows: at(i),
      shapeClass: at(i + 1),
      typicalUs: at(i + 2) / 1000,
      highUs: at(i + 3) / 1000,
      samples: at(i + 4),
      basis: BASES[at(i + 5)] ?? 'beyond',
    })
  }
  return {
    admitted: at(1),
    refused: at(2),
    dropped: at(3),
    late: at(4),
    arrivalRate: at(5),
    bestRate: at(6),
    loopLatenessUs: at(7) / 1000,
    instances: at(8),
    latencies,
  }
}

/** Counts of the time between; rates, instances and latencies are those of now. */
export function sloDifference(now: SloStats | undefined, before: SloStats | undefined): SloStats | undefined {
  if (now === undefined || before === undefined) return now
  const less = (count: 'admitted' | 'refused' | 'dropped' | 'late'): number => Math.max(0, now[count] - before[count])
  return { ...now, admitted: less('admitted'), refused: less('refused'), dropped: less('dropped'), late: less('late') }
}
