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
  readonly cgroup: { readonly quotaCpus?: number; readonly throttled?: number }
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

/** The CPU quota and how often it was hit, version 2 or 1. */
function cgroupFacts(read: (path: string) => string | undefined): HostFacts['cgroup'] {
  const lines = (read('proc/self/cgroup') ?? '').split('\n')
  const inner = lines.find((line) => line.startsWith('0::'))?.slice(3)
  const v1 = lines.find((line) => /^\d+:(?:[\w,]*,)?cpu(?:,[\w,]*)?:/.test(line))?.split(':')[2]
  const folders = [`sys/fs/cgroup${inner ?? ''}`, 'sys/fs/cgroup', `sys/fs/cgroup/cpu${v1 ?? ''}`, 'sys/fs/cgroup/cpu']
  let quotaCpus: number | undefined
  let throttled: number | undefined
  for (const folder of folders) {
    const [quota, period] = (read(`${folder}/cpu.max`) ?? '').trim().split(' ')
    const old = Number(read(`${folder}/cpu.cfs_quota_us`) ?? -1)
    if (quota && quota !== 'max') quotaCpus ??= Number(quota) / Number(period)
    else if (old > 0) quotaCpus ??= old / Number(read(`${folder}/cpu.cfs_period_us`) ?? 100_000)
    const count = /^nr_throttled (\d+)$/m.exec(read(`${folder}/cpu.stat`) ?? '')?.[1]
    if (count !== undefined) throttled ??= Number(count)
  }
  return { quotaCpus, throttled }
}

function gpuFact(read: (path: string) => string | undefined, root: string): string | undefined {
  const driver = read('proc/driver/nvidia/version')
  if (driver) return /NVRM version:\s*(.*?)\s{2,}\S+\s+\S/.exec(driver)?.[1] ?? 'NVIDIA driver'
  return existsSync(`${root}dev/nvidia0`) || existsSync(`${root}dev/nvidiactl`) ? 'NVIDIA device' : undefined
}
