import { SubtenError } from '../runtime/errors.js'
import { benchProgram, runBench } from './bench-process.js'
import { PROCESS_CONFIDENCE } from './centre.js'
import { type Figure, figuresOfProcesses, figuresOfProfile, type ReportFigures } from './compare-figures.js'
import { median } from './median.js'
import { pairedRatio } from './paired-ratio.js'
import { seededRandom } from './random.js'
import type { Comparison, Difference, Estimate, MachineFacts, ProfileReport } from './report-types.js'
import { fewestValues } from './signed-rank.js'
import { studentWithin } from './student.js'

/** Of the intervals of ratios: one figure in a thousand is called different where nothing is. */
export const CONFIDENCE = 0.999
/** A smaller difference is not reported, however sure it is. */
export const LEAST_DIFFERENCE = 0.05
/** Normal quantiles of 95 % and of 99.9 %, two-sided. */
const Z_95 = 1.96
const Z_999 = 3.2905

/**
 * Sets a report beside one of another time. Where both are of several processes, the intervals are those over processes;
 * else they are those within a run, which know nothing of what differs from process to process. Neither knows what else
 * changed in between; the notes say so. Where the machine was another, or a report is invalid, no difference is called
 * real. `compareBuilds` is how to find out.
 */
export function compareReports(before: ProfileReport, after: ProfileReport): Comparison {
  const read = before.repeated && after.repeated ? figuresOfProcesses : figuresOfProfile
  const [old, now] = [read(before), read(after)]
  const strangers = otherMachine(before.machine, after.machine)
  const invalid = (['before', 'after'] as const).filter((name) => ({ before, after })[name].repeated?.valid === false)
  const notes = [
    `The report of before is of another time: the intervals hold the noise ${read === figuresOfProcesses ? 'from process to process and within each' : 'within each run'}, and not what else changed in between. Builds that take turns (name a build instead of a file) give intervals that hold it.`,
    ...strangers.map((what) => `Another machine: ${what}. No difference is called real.`),
    ...invalid.map((name) => `Too few processes kept their schedule (${name}). No difference is called real.`),
    ...notesOn(old, now),
  ]
  const silent: string[] = []
  const differences = pairs(old, now).flatMap(([a, b]): Difference[] => {
    const ratio = ratioOf(a, b)
    if (ratio) return [difference(a, b, ratio, strangers.length + invalid.length === 0)]
    silent.push(`${a.what} ${round(a.value)} → ${round(b.value)} ${a.unit} (${round(b.value / a.value)}×)`)
    return []
  })
  if (silent.length > 0)
    notes.push(`One figure each and no interval, so nothing is said about them: ${silent.join('; ')}.`)
  return {
    how: 'recorded',
    before: `${old.build}, ${new Date(before.at).toISOString()}`,
    after: `${now.build}, ${new Date(after.at).toISOString()}`,
    rounds: 1,
    confidence: CONFIDENCE,
    differences: shorterNames(differences),
    notes,
  }
}

export interface CompareProgress {
  /** From 1; 0 is the round that is thrown away. */
  readonly round: number
  readonly rounds: number
  readonly build: 'before' | 'after'
}

export interface CompareOptions {
  /** Folders with a `dist/cli.js`. */
  readonly before: string
  readonly after: string
  /** Of `subten bench`, without `--json`: the model and the load. Many short rounds tell more than a few long ones. */
  readonly args: readonly string[]
  /** How often each build is measured; at least 11, which is what an interval of 99.9 % takes. */
  readonly rounds: number
  readonly onProgress?: (progress: CompareProgress) => void
  /** Of the coin that says who goes first in a round; by default another one each time. */
  readonly seed?: number
  readonly signal?: AbortSignal
}

/**
 * Measures two builds in turns, one process at a time, and says which figures differ.
 *
 * Each round runs both, a coin decides which first, and makes one ratio; {@link pairedRatio} says why that is sound. The
 * number of rounds is fixed before: nobody looks at the figures to decide whether to go on, which would call more
 * differences real than the confidence allows. One round before the first is thrown away (cold caches).
 *
 * @throws SubtenError CONFIG_INVALID for too few rounds or no build; ENGINE_FAILED when a bench prints no report
 */
export async function compareBuilds(options: CompareOptions): Promise<Comparison> {
  const { rounds, args, signal } = options
  const least = fewestValues(CONFIDENCE)
  if (!Number.isInteger(rounds) || rounds < least || rounds > 1000) {
    throw new SubtenError('CONFIG_INVALID', `rounds: ${rounds} is not a whole number from ${least} to 1000`, {
      remedy: `An interval of 99.9 % takes ${least} rounds; 31 short ones find a slowdown of 10 % on a noisy machine.`,
    })
  }
  const programs = { before: benchProgram(options.before), after: benchProgram(options.after) }
  const random = seededRandom(options.seed ?? Math.floor(Math.random() * 2 ** 32))
  const measured: Record<'before' | 'after', ReportFigures[]> = { before: [], after: [] }
  for (let round = 0; round <= rounds; round++) {
    for (const build of random() < 0.5 ? (['before', 'after'] as const) : (['after', 'before'] as const)) {
      options.onProgress?.({ round, rounds, build })
      const report = await runBench(programs[build], args, signal)
      if (round > 0) measured[build].push(report)
    }
  }
  return {
    how: 'interleaved',
    before: options.before,
    after: options.after,
    rounds,
    confidence: CONFIDENCE,
    ...differencesOfRounds(measured.before, measured.after),
  }
}

/** What rounds of two builds say; the same place in both lists is the same round. */
export function differencesOfRounds(
  before: readonly ReportFigures[],
  after: readonly ReportFigures[],
): Pick<Comparison, 'differences' | 'notes'> {
  const found = new Map<string, { figure: Figure; before: number[]; after: number[] }>()
  before.forEach((old, round) => {
    for (const [a, b] of pairs(old, after[round] as ReportFigures)) {
      const row = found.get(a.what) ?? { figure: a, before: [], after: [] }
      row.before.push(a.value)
      row.after.push(b.value)
      found.set(a.what, row)
    }
  })
  const notes = [...new Set(before.flatMap((old, round) => notesOn(old, after[round] as ReportFigures)))]
  const differences: Difference[] = []
  for (const { figure, ...rows } of found.values()) {
    const used = rows.before.length
    if (used < fewestValues(CONFIDENCE)) {
      notes.push(`${figure.what}: only ${used} rounds have it in both builds, too few for an interval.`)
      continue
    }
    if (used < before.length) notes.push(`${figure.what}: ${used} of ${before.length} rounds have it in both builds.`)
    const middle = (values: number[]): Figure => ({ ...figure, value: median(values) })
    const ratio = pairedRatio(rows.before, rows.after, CONFIDENCE)
    differences.push(difference(middle(rows.before), middle(rows.after), ratio, true))
  }
  if (differences.length === 0) notes.push('The builds have no figure in common that can be compared.')
  return { differences: shorterNames(differences), notes }
}

/** Figures that both have, in the order of the first. */
function pairs(before: ReportFigures, after: ReportFigures): [Figure, Figure][] {
  return before.figures.flatMap((a): [Figure, Figure][] => {
    const b = after.figures.find((figure) => figure.what === a.what)
    return b ? [[a, b]] : []
  })
}

function difference(a: Figure, b: Figure, ratio: Estimate, mayBeReal: boolean): Difference {
  const [most, least] = [1 + LEAST_DIFFERENCE, 1 / (1 + LEAST_DIFFERENCE)]
  const large = ratio.value >= most || ratio.value <= least
  const real = mayBeReal && large && (ratio.low > 1 || ratio.high < 1)
  return { what: a.what, unit: a.unit, before: a.value, after: b.value, ratio, real, verdict: verdict() }

  function verdict(): Difference['verdict'] {
    if (!real) return mayBeReal && ratio.low > least && ratio.high < most ? 'same' : 'unclear'
    if (a.kind === 'cpu') return ratio.value > 1 ? 'higher' : 'lower'
    return ratio.value > 1 === (a.kind === 'latency') ? 'slower' : 'faster'
  }
}

/** From intervals of 95 % of both: errors of logarithms add up in squares, and are widened to 99.9 %. */
function ratioOf(a: Figure, b: Figure): Estimate | undefined {
  if (!a.interval || !b.interval || !(a.interval.low > 0 && b.interval.low > 0)) return
  const log = Math.log
  const wider = widening(a, b)
  const up = Math.hypot(log(a.value / a.interval.low), log(b.interval.high / b.value)) * wider
  const down = Math.hypot(log(a.interval.high / a.value), log(b.value / b.interval.low)) * wider
  const value = b.value / a.value
  return { value, low: value * Math.exp(-down), high: value * Math.exp(up) }
}

/**
 * By what an interval of 95 % grows to be one of 99.9 %. Of a few processes the tail is Student's, whose degrees of
 * freedom are counted as those of the smaller report alone: never too many, whatever the spread of each (Welch 1947).
 */
function widening(a: Figure, b: Figure): number {
  if (a.processes === undefined || b.processes === undefined) return Z_999 / Z_95
  const degrees = Math.min(a.processes, b.processes) - 1
  return studentWithin(CONFIDENCE, degrees) / studentWithin(PROCESS_CONFIDENCE, degrees)
}

function otherMachine(before: MachineFacts, after: MachineFacts): string[] {
  const facts = ['cpu', 'cpus', 'memoryGiB', 'os', 'node'] as const
  return facts.flatMap((fact) =>
    before[fact] === after[fact] ? [] : [`${fact} ${before[fact]} before, ${after[fact]} after`],
  )
}

function notesOn(before: ReportFigures, after: ReportFigures): string[] {
  const notes: string[] = []
  for (const [name, report] of [
    ['before', before],
    ['after', after],
  ] as const) {
    for (const load of report.invalid) {
      notes.push(`${load}: the generator did not keep its schedule (${name}); such figures are left out.`)
    }
    if (report.failedRequests > 0) notes.push(`Requests failed (${name}): its figures are those of the others.`)
  }
  return notes
}

/** With one load its name says nothing: `p99` for `p99, 64 in flight`. */
function shorterNames(differences: readonly Difference[]): Difference[] {
  const loads = new Set(differences.map(({ what }) => what.slice(what.indexOf(', '))))
  if (loads.size !== 1) return [...differences]
  return differences.map((each) => ({ ...each, what: each.what.slice(0, each.what.indexOf(', ')) }))
}

const round = (value: number): string => value.toPrecision(3)
