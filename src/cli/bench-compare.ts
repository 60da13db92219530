import { readFile, stat } from 'node:fs/promises'
import { isProfileReport } from '../profile/compare-figures.js'
import type { Comparison, ProfileReport } from '../profile/report-types.js'
import { installed } from '../runtime/addon-file.js'
import { SubtenError } from '../runtime/errors.js'
import type { Context } from './context.js'

/** Flags that belong to this call and not to the processes that it starts; those with a value are true. */
const OWN_FLAGS: Readonly<Record<string, boolean>> = {
  '--compare': true,
  '--rounds': true,
  '--processes': true,
  '--every': true,
  '--sla': true,
  '--out': true,
  '--report': true,
  '--json': false,
}

/** Compares with a report of before, or with another build of which each takes its turn in processes of their own. */
export async function compared(
  context: Context,
  before: string,
  report: ProfileReport,
  args: readonly string[],
  rounds: number,
): Promise<Comparison> {
  const { compareBuilds, compareReports } = await import('../profile/compare.js')
  const isBuild = await stat(before).then(
    (found) => found.isDirectory(),
    () => false,
  )
  if (!isBuild) return compareReports(await readReport(before), report)
  const { root } = installed()
  if (root === undefined) throw new SubtenError('NOT_SUPPORTED', 'this build has no folder of its own to run in turns')
  const onProgress = ({ round, build }: { round: number; build: string }): void =>
    context.progress?.(`round ${round} of ${rounds}: ${build}`)
  try {
    return await compareBuilds({ before, after: root, args: benchArgs(args), rounds, onProgress })
  } finally {
    context.progress?.('')
  }
}

/** What follows `bench` on the command line, without what belongs to this call and without the flags of `own`. */
export function benchArgs(args: readonly string[], own: Readonly<Record<string, boolean>> = {}): string[] {
  const kept: string[] = []
  for (let i = args.indexOf('bench') + 1; i < args.length; i++) {
    const [name = ''] = (args[i] as string).split('=')
    const hasValue = own[name] ?? OWN_FLAGS[name]
    if (hasValue === undefined) kept.push(args[i] as string)
    else if (hasValue && name === args[i]) i++
  }
  return kept
}

async function readReport(file: string): Promise<ProfileReport> {
  let value: unknown
  try {
    value = JSON.parse(await readFile(file, 'utf8'))
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new SubtenError('CONFIG_INVALID', `${file} is no report: ${why}`, { details: { file } })
  }
  if (isProfileReport(value)) return value
  throw new SubtenError('CONFIG_INVALID', `${file} is no report of subten bench`, {
    details: { file },
    remedy: 'Make one with `subten bench … --out FILE.json`.',
  })
}
