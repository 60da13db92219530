import { availableParallelism, cpus, release, totalmem, type } from 'node:os'
import type { MachineFacts } from '../profile/report-types.js'
import { version } from '../server/package-version.js'

/** The machine that a report was measured on. */
export function machineFacts(): MachineFacts {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cpus: availableParallelism(),
    memoryGiB: Number((totalmem() / 2 ** 30).toFixed(1)),
    os: `${type()} ${release()} ${process.arch}`,
    node: process.version,
    subten: version,
  }
}
