/** What a setting is judged by; more is better of the first two, less of the others. */
export interface ParetoPoint {
  readonly id: string
  readonly accuracy: number
  readonly capacity: number
  readonly memoryMb: number
  readonly cpuUs: number
}

/** Memory and processor time differ that much from run to run: less is no advantage. */
const SAME = 0.02

/** The points that no other beats in everything: to be better in one thing than such a point costs another. */
export function paretoFront(points: readonly ParetoPoint[]): Set<string> {
  const front = points.filter((point) => !points.some((other) => other !== point && dominates(other, point)))
  return new Set(front.map(({ id }) => id))
}

function dominates(a: ParetoPoint, b: ParetoPoint): boolean {
  const gains = [
    compare(a.accuracy, b.accuracy, 0),
    compare(a.capacity, b.capacity, SAME),
    compare(b.memoryMb, a.memoryMb, SAME),
    compare(b.cpuUs, a.cpuUs, SAME),
  ]
  return gains.every((gain) => gain >= 0) && gains.some((gain) => gain > 0)
}

/** 1 where `a` is more than `b` by more than a share, -1 where it is less, 0 where they are as good as equal. */
function compare(a: number, b: number, share: number): number {
  if (Math.abs(a - b) <= share * Math.max(Math.abs(a), Math.abs(b))) return 0
  return a > b ? 1 : -1
}
