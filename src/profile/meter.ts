import type { Stats } from '../runtime/stats.js'
import type { Model } from '../runtime/types.js'
import type { ProfileRun } from './report-types.js'

/** What the side that serves says of the measured part. */
export interface Metered {
  readonly stagesUs?: ProfileRun['stagesUs']
  readonly batches?: ProfileRun['batches']
  /** Processor time of the process that serves, without the generator's threads. */
  readonly cpuUs?: number
}

/** Reads the figures of the serving side before and after the measured part. */
export interface Meter {
  begin(): Promise<void>
  end(generatorCpuUs: number | undefined): Promise<Metered>
}

export function inProcessMeter(model: Model): Meter {
  let stats: Stats | undefined
  let cpu: NodeJS.CpuUsage | undefined
  return {
    begin: async () => {
      stats = model.stats()
      cpu = process.cpuUsage()
    },
    end: async (generatorCpuUs) => {
      const used = process.cpuUsage(cpu)
      const now = model.stats()
      const { stages, batches } = stats ? now.diff(stats) : now
      const { count, meanSize, byReason } = batches
      const total = used.user + used.system
      return {
        stagesUs: stages,
        batches: { count, meanSize, byReason },
        // Without the generator's share the figure would be mostly that.
        cpuUs: generatorCpuUs === undefined ? undefined : Math.max(0, total - generatorCpuUs),
      }
    },
  }
}
