import { type Command, Option } from 'commander'
import { GPU_ENGINES, type GpuEngine, gpuFolders, gpuReleases, installedGpu } from '../load/gpu-files.js'
import { installGpu } from '../load/gpu-install.js'
import type { Context } from './context.js'
import { toJsonText } from './report.js'

interface InstallFlags {
  engine: GpuEngine
  python?: string
  force?: boolean
  json?: boolean
}

/** What each is good for, once it is there. */
const USES: Readonly<Record<GpuEngine, string>> = {
  cuda: "load(model, { executionProviders: ['cuda'] }), or KIND_GPU in config.pbtxt; subten doctor says whether there is a device",
  tensorrt: 'plans that were built with --version-compatible, on a GPU (docs/tensorrt.md)',
  rtx: 'subten build-engine MODEL --target sm_80, and on a GPU the plans that it makes (docs/tensorrt.md)',
}

export function addGpu(program: Command, context: Context): void {
  const gpu = program
    .command('gpu')
    .description('libraries for NVIDIA GPUs, installed on request')
    .addHelpText('after', '\nNothing is ever installed by itself; see docs/gpu.md.')

  gpu
    .command('install')
    .description('fetch the libraries of an engine with pip, pinned by their hashes')
    .addOption(new Option('--engine <name>', 'which').choices([...GPU_ENGINES]).default('cuda'))
    .option('--python <interpreter>', 'the Python whose pip is used (default: python3)')
    .option('--force', 'install again what is there')
    .option('--json', 'print JSON')
    .action(async ({ engine, ...flags }: InstallFlags) => {
      const { folder, fresh } = await installGpu(engine, {
        ...(flags.python !== undefined && { python: flags.python }),
        force: flags.force === true,
        say: (line) => context.err(line),
      })
      const { title, version } = gpuReleases[engine]
      context.out(
        flags.json
          ? toJsonText({ engine, version, folder, fresh })
          : `${title} ${version} ${fresh ? 'is installed' : 'was there already'}: ${folder}\nFor: ${USES[engine]}`,
      )
    })

  gpu
    .command('list')
    .description('show what is installed, and where')
    .option('--json', 'print JSON')
    .action((flags: { json?: boolean }) => {
      const facts = gpuFacts()
      context.out(
        flags.json ? toJsonText(facts) : GPU_ENGINES.map((each) => listed(...gpuRow(each, facts[each]))).join('\n'),
      )
    })
}

const listed = (name: string, what: string): string => `${name.padEnd(10)}${what}`

/** What of `subten gpu install` is there: an option, without which nothing is wrong. */
export type GpuFacts = Readonly<Record<GpuEngine, { readonly version: string; readonly folder: string | null }>>

export function gpuFacts(): GpuFacts {
  const of = (engine: GpuEngine): GpuFacts[GpuEngine] => ({
    version: gpuReleases[engine].version,
    folder: installedGpu(engine, gpuFolders(engine)) ?? null,
  })
  return { cuda: of('cuda'), tensorrt: of('tensorrt'), rtx: of('rtx') }
}

/** A row in the text report. */
export function gpuRow(engine: GpuEngine, { version, folder }: GpuFacts[GpuEngine]): [string, string] {
  const state = folder ? `(${folder})` : `not installed (npx subten gpu install --engine ${engine})`
  return [engine, `${gpuReleases[engine].title} ${version} ${state}`]
}
