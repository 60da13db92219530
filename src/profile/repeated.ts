import { centreOf, PROCESS_CONFIDENCE } from './centre.js'
import { LEAST_STAGE_US } from './compare-figures.js'
import { loadText } from './load-plan.js'
import { median } from './median.js'
import type { ProfileReport, ProfileRun, Repeated, RepeatedFigure } from './report-types.js'
import { fewestValues } from './signed-rank.js'

/** More of the processes that did not keep their schedule, and what is left is no fair choice of processes. */
const INVALID_ALLOWED = 1 / 3

const PERCENTILES = ['p50', 'p90', 'p95', 'p99', 'p999'] as const

/** A run of one process, numbered from 1. */
interface ProcessRun {
  readonly process: number
  readonly run: ProfileRun
}

/**
 * One report from those of several processes that measured the same.
 *
 * @param reports two or more, in the order in which they ran
 * @param about what is said of the whole: when it began, and the seed from which those of the processes come
 */
export function reportOfProcesses(
  reports: readonly ProfileReport[],
  about: Pick<ProfileReport, 'at' | 'seed'>,
): ProfileReport {
  const [first] = reports as [ProfileReport, ...ProfileReport[]]
  const loads = first.runs.map((_, load) =>
    reports.flatMap(({ runs }, i): ProcessRun[] => {
      const run = runs[load]
      return run ? [{ process: i + 1, run }] : []
    }),
  )
  const notes: string[] = []
  const figures = loads.flatMap((runs) => figuresOf(runs.filter(isKept), first.target.url !== undefined, notes))
  const lost = loads.flatMap((runs) => runs.filter((each) => !isKept(each)))
  const repeated: Repeated = {
    processes: reports.length,
    invalid: new Set(lost.map(({ process }) => process)).size,
    valid: loads.every((runs) => runs.filter((each) => !isKept(each)).length <= runs.length * INVALID_ALLOWED),
    figures,
  }
  return {
    schema: first.schema,
    ...about,
    machine: first.machine,
    target: first.target,
    runs: reports.flatMap(({ runs }, i) => runs.map((run) => ({ ...run, label: `process ${i + 1}: ${run.label}` }))),
    repeated,
    notes: [
      ...lost.map(({ process, run }) => `process ${process}, ${loadText(run.load)}: INVALID: ${run.schedule?.reason}.`),
      ...loads.flat().flatMap(failures),
      ...notes,
      ...limits(first, repeated),
      // Of a run that was left out there is a line above.
      ...new Set(reports.flatMap((each) => each.notes.filter((note) => !note.includes(': INVALID: ')))),
    ],
  }
}

const isKept = ({ run }: ProcessRun): boolean => run.schedule?.kept !== false

/** What the processes say of one load. A percentile counts where the samples of every one of them bear it out. */
function figuresOf(runs: readonly ProcessRun[], isServer: boolean, notes: string[]): RepeatedFigure[] {
  const [first] = runs
  // With one process there is no spread to make an interval of.
  if (!first || runs.length < 2) return []
  const load = loadText(first.run.load)
  const figures: RepeatedFigure[] = []
  const add = (name: string, unit: string, of: (run: ProfileRun) => number | undefined): boolean => {
    const each = runs.flatMap(({ run }) => of(run) ?? [])
    if (each.length < runs.length || !each.every((value) => value > 0)) return false
    figures.push({ what: `${name}, ${load}`, unit, ...centreOf(each), each })
    return true
  }
  add('throughput', '1/s', (run) => run.throughput)
  const unknown = PERCENTILES.filter((name) => !add(name, 'µs', ({ latencyUs }) => borneOut(latencyUs[name])))
  if (unknown.length > 0) {
    notes.push(`${load}: not every process has enough requests for ${unknown.join(', ')}; make them longer.`)
  }
  // A server's percentiles of stages are since it loaded the model: the processes would all tell of the same requests.
  const compute = isServer ? 0 : median(runs.map(({ run }) => run.stagesUs?.compute.p50 ?? 0))
  if (compute >= LEAST_STAGE_US) add('compute stage p50', 'µs', (run) => run.stagesUs?.compute.p50)
  add('CPU time a request', 'µs', (run) => run.cpuUsPerRequest)
  add('sent late by, p50', 'µs', ({ schedule }) => schedule && borneOut(schedule.latenessUs.p50))
  return figures
}

const borneOut = (percentile: ProfileRun['latencyUs']['p50']): number | undefined =>
  'value' in percentile ? percentile.value : undefined

function failures({ process, run }: ProcessRun): string[] {
  const { sent, succeeded } = run.requests
  if (succeeded === sent) return []
  const why = run.firstError === undefined ? '' : `; the first: ${run.firstError}`
  return [`process ${process}, ${loadText(run.load)}: ${sent - succeeded} of ${sent} requests did not succeed${why}.`]
}

/** What the intervals do not say. */
function limits({ target }: ProfileReport, { valid, figures }: Repeated): string[] {
  const notes: string[] = []
  if (!valid) {
    notes.push(
      'INVALID: more than a third of the processes did not keep their schedule: what is left is no fair choice.',
    )
  }
  const fewest = fewestValues(PROCESS_CONFIDENCE)
  if (figures.some(({ each }) => each.length < fewest)) {
    notes.push(
      `With fewer than ${fewest} processes the intervals are Student's t on logarithms: they hold as far as processes vary as a normal distribution does, and are wide.`,
    )
  }
  if (target.url !== undefined) {
    notes.push('The server was one process throughout: the intervals know nothing of what varies when it starts again.')
  }
  return notes
}
