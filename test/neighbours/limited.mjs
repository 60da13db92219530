// Runs this Node under a limit on its CPUs, as containers do.
import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { cpuGroup } from '../flight/cpu-group.mjs'

/** One processor, through the affinity mask; undefined where taskset is missing. */
export function onOneProcessor() {
  const allowed = /^Cpus_allowed_list:\s*(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0'
  if (spawnSync('taskset', ['-c', allowed, 'true']).status !== 0) return undefined
  return (command) => ['taskset', '-c', allowed, ...command]
}

/** A cgroup with a quota of `cpus`, version 2 or 1, below our own; undefined where we may not make one. */
export function cgroup(cpus) {
  const group = cpuGroup(`subten-test-${process.pid}-${cpus}`)
  if (group === undefined) return undefined
  try {
    group.quota(cpus * 100)
    const [program, ...args] = group.enter(['true'])
    execFileSync(program, args, { stdio: 'ignore' })
    return { limit: (command) => group.enter(command), remove: () => group.remove() }
  } catch {
    group.remove()
    return undefined
  }
}
