import { existsSync, readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'

const FEATURES = [
  'avx2',
  'avx512f',
  'avx512_vnni',
  'avx_vnni',
  'amx_tile',
  'amx_int8',
  'amx_bf16',
  'asimd',
  'sve',
] as const

/** What a user's machine offers, from the files of the kernel. */
export interface HostFacts {
  readonly node: string
  readonly platform: string
  readonly libc: string
  readonly cpu: { readonly model: string; readonly features: readonly string[]; readonly parallelism: number }
  readonly affinity?: string
  readonly cgroup: { readonly quotaCpus?: number; readonly throttled?: number; readonly throttledMs?: number }
  readonly gpu?: string
}

export function hostFacts(root = '/'): HostFacts {
  const read = (path: string): string | undefined => {
    try {
      return readFileSync(root + path, 'utf8')
    } catch {
      return undefined
    }
  }
  const cpuinfo = read('proc/cpuinfo') ?? ''
  const flags = new Set((/^(?:flags|Features)\s*:\s*(.*)$/m.exec(cpuinfo)?.[1] ?? '').split(' '))
  const report = process.report?.getReport() as { header?: { glibcVersionRuntime?: string } } | undefined
  const glibc = report?.header?.glibcVersionRuntime
  return {
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
    libc: glibc ? `glibc ${glibc}` : 'not glibc',
    cpu: {
      model: /^model name\s*:\s*(.*)$/m.exec(cpuinfo)?.[1] ?? 'unknown',
      features: FEATURES.filter((feature) => flags.has(feature)),
      parallelism: availableParallelism(),
    },
    affinity: /^Cpus_allowed_list:\s*(.*)$/m.exec(read('proc/self/status') ?? '')?.[1],
    cgroup: cgroupFacts(read),
    gpu: gpuFact(read, root),
  }
}

/**
 * The CPU quota and how often it was hit, version 2 or 1. A quota may stand at any level between the cgroup and the root:
 * the smallest one counts, as native/executor/cpu_limits.cc has it.
 */
function cgroupFacts(read: (path: string) => string | undefined): HostFacts['cgroup'] {
  let quotaCpus: number | undefined
  let throttled: number | undefined
  let throttledMs: number | undefined
  for (const folder of cgroupFolders(read('proc/self/cgroup') ?? '')) {
    const [quota, period] = (read(`${folder}/cpu.max`) ?? 'max').trim().split(' ')
    const old = Number(read(`${folder}/cpu.cfs_quota_us`) ?? -1)
    const own =
      quota !== 'max'
        ? Number(quota) / Number(period)
        : old > 0
          ? old / Number(read(`${folder}/cpu.cfs_period_us`) ?? 100_000)
          : Number.NaN
    if (own > 0) quotaCpus = Math.min(own, quotaCpus ?? own)
    const stat = read(`${folder}/cpu.stat`) ?? ''
    const count = Number(/^nr_throttled (\d+)$/m.exec(stat)?.[1] ?? Number.NaN)
    if (Number.isNaN(count) || (throttled !== undefined && count <= throttled)) continue
    throttled = count
    const [, unit, time] = /^throttled_(usec|time) (\d+)$/m.exec(stat) ?? []
    throttledMs = time === undefined ? undefined : Math.round(Number(time) / (unit === 'usec' ? 1e3 : 1e6))
  }
  return { quotaCpus, throttled, throttledMs }
}

/** The folders of the process's CPU cgroups and of what is above them. */
function cgroupFolders(groups: string): string[] {
  const folders: string[] = []
  for (const line of groups.split('\n')) {
    const [, controllers, group = ''] = /^\d+:([^:]*):(.*)$/.exec(line) ?? []
    if (controllers !== '' && !controllers?.split(',').includes('cpu')) continue
    const mount = controllers === '' ? 'sys/fs/cgroup' : 'sys/fs/cgroup/cpu'
    const names = group.split('/').filter(Boolean)
    for (let depth = names.length; depth >= 0; depth--) folders.push([mount, ...names.slice(0, depth)].join('/'))
  }
  return folders
}

function gpuFact(read: (path: string) => string | undefined, root: string): string | undefined {
  const driver = read('proc/driver/nvidia/version')
  if (driver) return /NVRM version:\s*(.*?)\s{2,}\S+\s+\S/.exec(driver)?.[1] ?? 'NVIDIA driver'
  return existsSync(`${root}dev/nvidia0`) || existsSync(`${root}dev/nvidiactl`) ? 'NVIDIA device' : undefined
}
