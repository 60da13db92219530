import { existsSync } from 'node:fs'
import type { Command } from 'commander'
import { installedOpenvino, openvinoFolders, release } from '../load/openvino-files.js'
import { installOpenvino } from '../load/openvino-install.js'
import { SubtenError } from '../runtime/errors.js'
import type { Context } from './context.js'
import { toJsonText } from './report.js'

const KNOWN = ['openvino'] as const

export function addProviders(program: Command, context: Context): void {
  const providers = program
    .command('providers')
    .description('execution providers of ONNX Runtime that are installed on request')
    .addHelpText('after', '\nNothing is ever installed by itself; see docs/openvino.md.')

  providers
    .command('install')
    .description('fetch a provider with pip, pinned by its hash, and unpack what is needed of it')
    .argument('<provider>', `what to install: ${KNOWN.join(', ')}`)
    .option('--python <interpreter>', 'the Python whose pip is used (default: python3)')
    .option('--force', 'install again what is there')
    .option('--json', 'print JSON')
    .action(async (name: string, flags: { python?: string; force?: boolean; json?: boolean }) => {
      checkKnown(name)
      const { library, fresh } = await installOpenvino({
        ...(flags.python !== undefined && { python: flags.python }),
        force: flags.force === true,
        say: (line) => context.err(line),
      })
      const what = `OpenVINO ${release.openvino} with ONNX Runtime ${release.version}`
      context.out(
        flags.json
          ? toJsonText({ provider: name, version: release.version, library, fresh })
          : `${what} ${fresh ? 'is installed' : 'was there already'}: ${library}\nUse it: load(model, { executionProviders: [{ name: 'openvino' }] })`,
      )
    })

  providers
    .command('list')
    .description('show which providers are installed, and where')
    .option('--json', 'print JSON')
    .action((flags: { json?: boolean }) => {
      const facts = openvinoFacts()
      context.out(
        flags.json
          ? toJsonText({ openvino: facts })
          : `openvino  ${facts.library ?? `not installed (${release.version}; looked in ${facts.looked.join(', ')})`}`,
      )
    })
}

function checkKnown(name: string): void {
  if ((KNOWN as readonly string[]).includes(name)) return
  throw new SubtenError('NOT_SUPPORTED', `there is no provider '${name}' to install`, {
    remedy: `What can be installed: ${KNOWN.join(', ')}.`,
  })
}

/** What `subten doctor` says of OpenVINO: an option, without which nothing is wrong. */
export interface OpenvinoFacts {
  readonly version: string
  readonly library?: string
  readonly looked: readonly string[]
}

export function openvinoFacts(): OpenvinoFacts {
  const looked = openvinoFolders()
  const library = installedOpenvino(looked)
  return { version: release.version, ...(library !== undefined && existsSync(library) && { library }), looked }
}

/** Its row in the text report. */
export const openvinoRow = ({ version, library }: OpenvinoFacts): [string, string] => [
  'openvino',
  library ? `with ONNX Runtime ${version} (${library})` : 'not installed (npx subten providers install openvino)',
]
