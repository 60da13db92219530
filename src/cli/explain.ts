import type { Command } from 'commander'
import { ERROR_TABLE, type ErrorCode } from '../runtime/error-table.js'
import type { Context } from './context.js'
import { toJsonText, UsageError } from './report.js'

export function addExplain(program: Command, context: Context): void {
  program
    .command('explain')
    .description('say what an error code means and what to do')
    .argument('[code]', 'an error code such as QUEUE_FULL; all of them when absent')
    .option('--json', 'print JSON')
    .action((code: string | undefined, options: { json?: boolean }) => explain(context, code, options.json === true))
}

function explain(context: Context, given: string | undefined, json: boolean): void {
  if (given === undefined) {
    context.out(json ? toJsonText(ERROR_TABLE) : list())
    return
  }
  const code = given.toUpperCase().replaceAll('-', '_')
  if (!Object.hasOwn(ERROR_TABLE, code)) {
    context.err(list())
    throw new UsageError(`there is no error code ${given}; the codes are above`)
  }
  const entry = ERROR_TABLE[code as ErrorCode]
  if (json) context.out(toJsonText({ code, ...entry }))
  else context.out(`${code} (HTTP ${entry.http}, gRPC ${entry.grpc})\n\n${entry.meaning}\nWhat to do: ${entry.remedy}`)
}

function list(): string {
  const width = Math.max(...Object.keys(ERROR_TABLE).map((code) => code.length))
  return Object.entries(ERROR_TABLE)
    .map(([code, { meaning }]) => `${code.padEnd(width)}  ${meaning}`)
    .join('\n')
}
