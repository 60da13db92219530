import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Command } from 'commander'
import { GPU_ENGINES, installedGpu } from '../load/gpu-files.js'
import { installed, jpegFile } from '../runtime/addon-file.js'
import { SubtenError } from '../runtime/errors.js'
import type { CudaInfo } from '../runtime/system.js'
import { version } from '../server/package-version.js'
import type { Context, EngineInfo, SystemInfo } from './context.js'
import { FAILED, OK } from './exit-codes.js'
import { type GpuFacts, gpuFacts, gpuRow } from './gpu.js'
import { type HostFacts, hostFacts } from './host-facts.js'
import { type OpenvinoFacts, openvinoFacts, openvinoRow } from './providers.js'
import { toJsonText } from './report.js'
import { type TritonFacts, tritonFacts, tritonRows } from './triton-facts.js'

const DEFAULT_ENGINE = 'onnxruntime'

export function addDoctor(program: Command, context: Context): void {
  program
    .command('doctor')
    .description('show the engines and this machine, what is missing, and what to do')
    .option('--json', 'print JSON')
    .addHelpText('after', `\nExit code 0 when the default engine (${DEFAULT_ENGINE}) works, else 1.`)
    .action(async (flags: { json?: boolean }, command: Command) => {
      const info = await context.systemInfo().catch((error: unknown) => problemOf(error))
      const host = hostFacts()
      const system = 'problem' in info ? undefined : info
      const problem = 'problem' in info ? info : undefined
      const triton = tritonFacts()
      const openvino = openvinoFacts()
      const gpu = gpuFacts()
      const advice = [...adviceFor(host, system, problem), ...triton.advice]
      const report = {
        subten: version,
        host,
        ...system,
        jpegLibrary: jpegFile(installed()) || null,
        triton,
        openvino,
        gpuLibraries: gpu,
        ...(problem && { problem: problem.problem }),
        advice,
      }
      context.out(flags.json ? toJsonText(report) : text({ host, system, triton, openvino, gpu, problem, advice }))
      const works = system?.engines.some((engine) => engine.name === DEFAULT_ENGINE && engine.available) === true
      command.setOptionValue('exitCode', works ? OK : FAILED)
    })
}

interface Problem {
  readonly problem: string
  readonly remedy: string
}

function problemOf(error: unknown): Problem {
  if (error instanceof SubtenError) return { problem: `${error.code}: ${error.message}`, remedy: error.remedy }
  const problem = error instanceof Error ? (error.message.split('\n', 1)[0] ?? '') : String(error)
  return { problem, remedy: 'Build the addon with `npm run build`, or install subten again.' }
}

interface Report {
  readonly host: HostFacts
  readonly system: SystemInfo | undefined
  readonly triton: TritonFacts
  readonly openvino: OpenvinoFacts
  readonly gpu: GpuFacts
  readonly problem: Problem | undefined
  readonly advice: readonly string[]
}

function text({ host, system, triton, openvino, gpu, problem, advice }: Report): string {
  const row = (name: string, value: string): string => `  ${name.padEnd(14)}${value}`
  const addon = system ? `${system.addon.version} (${system.addon.path})` : `does not load: ${problem?.problem}`
  const { cgroup, cpu } = host
  const quota = cgroup.quotaCpus === undefined ? 'none' : `${cgroup.quotaCpus} CPUs`
  const lost = cgroup.throttledMs ? ` (${cgroup.throttledMs} ms)` : ''
  const throttled = cgroup.throttled === undefined ? '' : `, throttled ${cgroup.throttled} times${lost}`
  return [
    'subten',
    row('version', version),
    row('addon', addon),
    row('pictures', picturesText()),
    'engines',
    ...(system?.engines ?? []).map((engine) => row(engine.name, engineText(engine))),
    'triton',
    ...tritonRows(triton).map(([name, value]) => row(name, value)),
    'providers',
    row(...openvinoRow(openvino)),
    ...GPU_ENGINES.map((engine) => row(...gpuRow(engine, gpu[engine]))),
    'machine',
    row('node', `${host.node}, ${host.platform}, ${host.libc}`),
    row('cpu', cpu.model),
    row('features', cpu.features.join(' ') || 'none that engines look for'),
    row('cpus', system ? `${system.cpus.used} used of ${system.cpus.online} online` : `${cpu.parallelism}`),
    row('affinity', host.affinity ?? 'unknown'),
    row('cgroup quota', quota + throttled),
    row('gpu', host.gpu ?? 'none found'),
    ...cudaRows(system?.cuda, host.gpu).map(([name, value]) => row(name, value)),
    ...(advice.length > 0 ? ['what to do', ...advice.map((line) => `  - ${line}`)] : ['nothing is missing']),
  ].join('\n')
}

/** What decodes. */
function picturesText(): string {
  const library = jpegFile(installed())
  return library ? `plain JPEGs: libjpeg-turbo (${library}), others: sharp` : 'sharp'
}

function engineText({ available, version: v, library, error }: EngineInfo): string {
  if (!available) return `not available: ${error ?? 'no reason given'}`
  return [v ?? 'available', library && `(${library})`].filter(Boolean).join(' ')
}

/** What CUDA has, where there is a driver or should be one. */
function cudaRows(cuda: CudaInfo | undefined, gpu: string | undefined): [string, string][] {
  if (!cuda || (cuda.error && !gpu)) return []
  if (cuda.error) return [['cuda', cuda.error]]
  return [
    ['cuda', `driver for CUDA ${cuda.driver}`],
    ...cuda.devices.map(({ ordinal, name, compute, memoryBytes }): [string, string] => [
      `cuda:${ordinal}`,
      `${name} (compute ${compute}, ${(memoryBytes / 2 ** 30).toFixed(1)} GiB)`,
    ]),
  ]
}

const hasCudaProvider = (library: string): boolean =>
  existsSync(join(dirname(library), 'libonnxruntime_providers_cuda.so'))

function adviceFor(host: HostFacts, system: SystemInfo | undefined, problem: Problem | undefined): string[] {
  const advice: string[] = []
  if (problem) advice.push(problem.remedy)
  const engine = system?.engines.find(({ name }) => name === DEFAULT_ENGINE)
  if (system && !engine?.available) {
    advice.push(`Install the default engine: npm install @subten/onnxruntime-${process.platform}-${process.arch}.`)
  }
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  if (major < 20 || (major === 20 && minor < 20)) advice.push('Use Node 20.20 or newer.')
  if (host.platform === 'linux x64' && !host.cpu.features.includes('avx2')) {
    advice.push('This processor has no AVX2; engines will be slow.')
  }
  if ((host.cgroup.throttled ?? 0) > 0) {
    advice.push(
      'The cgroup has throttled its processes, and latency has peaks of a period (100 ms): raise the CPU limit (docker --cpus, Kubernetes resources.limits.cpu, systemd CPUQuota) to more than the load needs, or remove it.',
    )
  }
  if (host.gpu && system?.cuda?.error) advice.push(`The GPU cannot be used: ${system.cuda.error}`)
  else if (host.gpu && engine?.library && !hasCudaProvider(engine.library) && installedGpu('cuda') === undefined) {
    advice.push(
      'There is a GPU, and this ONNX Runtime computes on the CPU only: run `npx subten gpu install`, or set SUBTEN_ONNXRUNTIME_LIB to one that was built for GPUs, and load with executionProviders or KIND_GPU (docs/gpu.md).',
    )
  }
  return advice
}
