import { Command, CommanderError } from 'commander'
import { version } from '../server/package-version.js'
import { addAccuracy } from './accuracy.js'
import { addBench } from './bench.js'
import { addBuildEngine } from './build-engine.js'
import type { Context } from './context.js'
import { addDoctor } from './doctor.js'
import { OK, USAGE } from './exit-codes.js'
import { addExplain } from './explain.js'
import { addGpu } from './gpu.js'
import { addInfer } from './infer.js'
import { addInspect } from './inspect.js'
import { addOptimize } from './optimize.js'
import { addProviders } from './providers.js'
import { addQuantize } from './quantize.js'
import { reportError } from './report.js'
import { addServe } from './serve.js'
import { addSimulate } from './simulate.js'
import { addSla } from './sla.js'
import { addTypes } from './types.js'

const COMMANDS = [
  addServe,
  addInfer,
  addBench,
  addDoctor,
  addProviders,
  addGpu,
  addBuildEngine,
  addInspect,
  addTypes,
  addSla,
  addSimulate,
  addAccuracy,
  addOptimize,
  addQuantize,
  addExplain,
]

/** Runs `subten` with these arguments; resolves to its exit code. */
export async function run(args: readonly string[], context: Context): Promise<number> {
  const program = new Command('subten')
    .description('Serve machine learning models inside Node.js.')
    .version(version)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => context.out(text.trimEnd()),
      writeErr: (text) => context.err(text.trimEnd()),
    })
    .addHelpText('after', '\nExit codes: 0 it worked, 1 it failed, 2 it was not called as it should be.')
  for (const add of COMMANDS) add(program, context)
  let code = OK
  program.hook('postAction', (_program, command) => {
    code = (command.getOptionValue('exitCode') as number | undefined) ?? OK
  })
  try {
    await program.parseAsync(args, { from: 'user' })
    return code
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? OK : USAGE
    return reportError(context, error)
  }
}
