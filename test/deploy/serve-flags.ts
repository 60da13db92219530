import type { Command } from 'commander'
import { Command as Program } from 'commander'
import type { Context } from '../../src/cli/context.js'
import { addServe } from '../../src/cli/serve.js'

/** What `subten serve` makes of arguments: throws where one is not an option of it, or has no such value. */
export function serveFlags(args: readonly string[]): Record<string, unknown> {
  const program = new Program()
  addServe(program, {} as Context)
  const serve = program.commands.find((command) => command.name() === args[0]) as Command
  if (!serve) throw new Error(`subten has no command '${args[0]}'`)
  serve.exitOverride().configureOutput({ writeErr: () => {} })
  serve.parseOptions([])
  const { operands, unknown } = serve.parseOptions([...args.slice(1)])
  if (operands.length || unknown.length)
    throw new Error(`not an option of serve: ${[...operands, ...unknown].join(' ')}`)
  return serve.opts()
}
