import { join } from 'node:path'
import type { ProfileReport } from '../profile/report-types.js'
import { installed } from '../runtime/addon-file.js'
import { SubtenError } from '../runtime/errors.js'
import { benchArgs } from './bench-compare.js'
import type { Context } from './context.js'

/** The same bench in several processes, one after the other. `args` are those of this call. */
export async function benchInProcesses(
  context: Context,
  flags: { readonly processes: number; readonly every?: number; readonly seed: number; readonly goodWithin?: number },
  args: readonly string[],
): Promise<ProfileReport> {
  const { repeatBench } = await import('../profile/repeat.js')
  const { processes, every, seed, goodWithin } = flags
  const everyMs = every === undefined ? 0 : every / 1000
  const own = benchArgs(args, { '--seed': true, '--good-within': true })
  // The contract may have set it, and the processes do not see the contract.
  if (goodWithin !== undefined) own.unshift('--good-within', `${goodWithin}us`)
  context.err(`measuring in ${processes} processes, one after the other`)
  const onProgress = (process: number): void => context.progress?.(`process ${process} of ${processes}`)
  try {
    const program = context.program ?? ownProgram()
    return await repeatBench({ program, args: own, processes, seed, everyMs, onProgress })
  } finally {
    context.progress?.('')
  }
}

/** The command line of this package. */
export function ownProgram(): string {
  const { root } = installed()
  if (root !== undefined) return join(root, 'dist', 'cli.js')
  throw new SubtenError('NOT_SUPPORTED', 'this build has no folder of its own to start processes from')
}
