// Runs this Node under a limit on its CPUs, as containers do.
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** One processor, through the affinity mask; undefined where taskset is missing. */
export function onOneProcessor() {
  const allowed = /^Cpus_allowed_list:\s*(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0'
  if (spawnSync('taskset', ['-c', allowed, 'true']).status !== 0) return undefined
  return (command) => ['taskset', '-c', allowed, ...command]
}

const PERIOD_US = 100_000

/** A cgroup with a quota of `cpus`, version 2 or 1, below our own; undefined where we may not make one. */
export function cgroup(cpus) {
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
    const folder = join(parent, `subten-test-${process.pid}-${cpus}`)
    try {
      mkdirSync(folder)
    } catch {
      continue
    }
    try {
      if (existsSync(join(folder, 'cpu.max'))) {
        writeFileSync(join(folder, 'cpu.max'), `${cpus * PERIOD_US} ${PERIOD_US}`)
      } else {
        writeFileSync(join(folder, 'cpu.cfs_period_us'), String(PERIOD_US))
        writeFileSync(join(folder, 'cpu.cfs_quota_us'), String(cpus * PERIOD_US))
      }
      const enter = (command) => ['sh', '-c', 'echo $$ > "$0/cgroup.procs" && exec "$@"', folder, ...command]
      const [program, ...args] = enter(['true'])
      execFileSync(program, args, { stdio: 'ignore' })
      return { limit: enter, remove: () => rmdirSync(folder) }
    } catch {
      rmdirSync(folder)
    }
  }
  return undefined
}
