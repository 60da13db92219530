// Figures of processes as they are met: each process has a centre of its own about 100, and noise within its run.

/** Standard error of a figure within one process, relative; between processes the spread is twice that. */
export const WITHIN = 0.03
const BETWEEN = 2 * WITHIN

export type Process = 'normal' | 'two states' | 'heavy tails'

type Random = () => number

const normal = (random: Random): number => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())

const CENTRES: Readonly<Record<Process, (random: Random) => number>> = {
  normal: (random) => BETWEEN * normal(random),
  'two states': (random) => (random() < 0.5 ? -BETWEEN : BETWEEN),
  // Student's t with three degrees of freedom.
  'heavy tails': (random) => {
    const [a, b, c] = [normal(random), normal(random), normal(random)]
    return (BETWEEN * normal(random)) / Math.sqrt((a * a + b * b + c * c) / 3)
  },
}

export function processes(kind: Process, count: number, random: Random): number[] {
  return Array.from({ length: count }, () => 100 * Math.exp(CENTRES[kind](random) + WITHIN * normal(random)))
}
