import { median } from './median.js'
import type { Estimate } from './report-types.js'
import { fewestValues, signedRankCentre } from './signed-rank.js'
import { studentWithin } from './student.js'

/** Of the intervals over processes. */
export const PROCESS_CONFIDENCE = 0.95

/**
 * The median of one figure of several processes, with a 95 % interval for the centre of all processes that could have
 * been started.
 *
 * A figure of a process is the centre, times what this process is like (where its memory lies, on which processors its
 * threads wake), times the noise within its run. Only the product is seen, so the spread of the figures holds both parts,
 * and the interval asks for no model of either: repetition at the highest level at which figures vary is what Kalibera
 * and Jones (Rigorous Benchmarking in Reasonable Time, ISMM 2013) ask for. Logarithms are taken because effects multiply,
 * and because a long right tail is then less of one.
 *
 * From six processes the interval is that of Wilcoxon's signed ranks ({@link signedRankCentre}), exact for whatever lies
 * evenly about its centre, "fast" and "slow" processes in two heaps included; from twelve on, one process that met a busy
 * machine hardly moves it. Fewer than six bear out no such interval: then it is Student's t, which holds as far as the
 * logarithms are normal, and is wide (±12.7 standard errors for two).
 *
 * @param values two or more, above 0
 */
export function centreOf(values: readonly number[]): Estimate {
  const logs = values.map(Math.log)
  if (values.length < 2 || !logs.every(Number.isFinite)) throw new RangeError('a centre takes two values above 0')
  const interval =
    logs.length < fewestValues(PROCESS_CONFIDENCE) ? studentInterval(logs) : signedRankCentre(logs, PROCESS_CONFIDENCE)
  const value = median(values)
  // Of many, very lopsided values the median is not what signed ranks take for the centre: both are held then.
  return { value, low: Math.min(value, Math.exp(interval.low)), high: Math.max(value, Math.exp(interval.high)) }
}

function studentInterval(values: readonly number[]): { low: number; high: number } {
  const n = values.length
  const mean = values.reduce((sum, value) => sum + value, 0) / n
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (n - 1)
  const half = studentWithin(PROCESS_CONFIDENCE, n - 1) * Math.sqrt(variance / n)
  return { low: mean - half, high: mean + half }
}
