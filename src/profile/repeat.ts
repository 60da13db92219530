import { setTimeout as sleep } from 'node:timers/promises'
import { benchReport } from './bench-process.js'
import { derivedSeed } from './random.js'
import { reportOfProcesses } from './repeated.js'
import type { ProfileReport } from './report-types.js'

/** Uses of a seed below this are those within a run. */
const FIRST_PROCESS = 5000

export interface RepeatOptions {
  /** A command line of subten, as `dist/cli.js`. */
  readonly program: string
  /** Of `subten bench`, without `--json` and `--seed`: the model and the load. */
  readonly args: readonly string[]
  readonly processes: number
  /** Each process has a seed of its own that comes from it, so that the times of arrivals vary too. */
  readonly seed: number
  /**
   * From one start to the next, milliseconds, or as soon as the one before has ended where that takes longer: processes
   * that are spread over time also vary by what drifts in the machine meanwhile. 0 by default.
   */
  readonly everyMs?: number
  /** Before each process: its number, from 1. */
  readonly onProgress?: (process: number) => void
  readonly signal?: AbortSignal
}

/**
 * Measures the same in several processes, one after the other, and says what all of them say together.
 *
 * @throws SubtenError ENGINE_FAILED when a process prints no report: its own message is passed on
 */
export async function repeatBench({
  program,
  args,
  processes,
  seed,
  everyMs = 0,
  onProgress,
  signal,
}: RepeatOptions): Promise<ProfileReport> {
  const at = Date.now()
  const reports: ProfileReport[] = []
  for (let process = 1; process <= processes; process++) {
    const early = at + (process - 1) * everyMs - Date.now()
    if (early > 0) await sleep(early, undefined, { signal })
    onProgress?.(process)
    const own = ['--seed', String(derivedSeed(seed, FIRST_PROCESS + process))]
    reports.push(await benchReport(program, [...own, ...args], signal))
  }
  return reportOfProcesses(reports, { at, seed })
}
