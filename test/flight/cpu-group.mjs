// A CPU cgroup of our own below this process's, version 2 or 1: its quota can be set, and programs outside it hardly
// get a CPU that one inside wants, so that what else the machine does decides no outcome.
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const PERIOD_US = 100_000

/** Undefined where we may not make one. */
export function cpuGroup(name = `subten-flight-${process.pid}`) {
  const groups = readFileSync('/proc/self/cgroup', 'utf8')
  const own = (pattern, mount) => {
    const group = pattern.exec(groups)?.[1]
    return group === undefined ? [] : [join(mount, group), mount]
  }
  const parents = [
    ...own(/^\d+:(?:[\w,]*,)?cpu(?:,[\w,]*)?:(.*)$/m, '/sys/fs/cgroup/cpu'),
    ...own(/^0::(.*)$/m, '/sys/fs/cgroup'),
  ]
  for (const parent of parents) {
    const folder = join(parent, name)
    try {
      mkdirSync(folder)
      if (!existsSync(join(folder, 'cpu.max')) && !existsSync(join(folder, 'cpu.cfs_quota_us')))
        throw new Error('no cpu')
      return new CpuGroup(folder)
    } catch {
      try {
        rmdirSync(folder)
      } catch {}
    }
  }
  return undefined
}

export class CpuGroup {
  constructor(folder) {
    this.folder = folder
    this.second = existsSync(join(folder, 'cpu.max'))
  }

  /** Programs inside get nearly everything that they and others want at once. */
  prefer() {
    if (this.second) writeFileSync(join(this.folder, 'cpu.weight'), '10000')
    else writeFileSync(join(this.folder, 'cpu.shares'), '262144')
  }

  /** A command that runs inside. */
  enter(command) {
    return ['sh', '-c', 'echo $$ > "$0/cgroup.procs" && exec "$@"', this.folder, ...command]
  }

  /** Milliseconds of CPU in each 100; undefined: no limit. */
  quota(ms) {
    const us = ms === undefined ? undefined : Math.round(ms * 1000)
    if (this.second) writeFileSync(join(this.folder, 'cpu.max'), `${us ?? 'max'} ${PERIOD_US}`)
    else writeFileSync(join(this.folder, 'cpu.cfs_quota_us'), String(us ?? -1))
  }

  /** How often the quota was used up. */
  throttled() {
    return Number(/nr_throttled (\d+)/.exec(readFileSync(join(this.folder, 'cpu.stat'), 'utf8'))?.[1] ?? 0)
  }

  remove() {
    rmdirSync(this.folder)
  }
}
