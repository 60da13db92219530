import type { Command } from 'commander'
import { listModels } from '../repository/repository.js'
import type { TensorSpec } from '../runtime/types.js'
import type { Context } from './context.js'
import { reportError, toJsonText, UsageError } from './report.js'

export function addTypes(program: Command, context: Context): void {
  program
    .command('types')
    .description('print a .d.ts that tells TypeScript the tensors of every model of a repository')
    .argument('<dir>', "a model repository, written as your calls of load() write it: 'models'")
    .option('--json', 'print JSON')
    .action((directory: string, options: { json?: boolean }) => types(context, directory, options.json === true))
}

/** The tensors of one model. */
export interface ModelTypes {
  /** As load() is called with it. */
  readonly path: string
  readonly inputs: readonly TensorSpec[]
  readonly outputs: readonly TensorSpec[]
}

async function types(context: Context, directory: string, json: boolean): Promise<void> {
  const found: ModelTypes[] = []
  const base = directory.replace(/\/+$/, '')
  for (const { name } of await listModels(directory)) {
    const path = `${base}/${name}`
    context.err(`reading ${path}`)
    try {
      const model = await context.load(path)
      found.push({ path, inputs: model.inputs, outputs: model.outputs })
      await model.close()
    } catch (error) {
      reportError(context, error)
      context.err(`${path} is left out`)
    }
  }
  if (found.length === 0) throw new UsageError(`there is no model that can be loaded in ${directory}`)
  context.out(json ? toJsonText(found) : declarations(found))
}

/** `interface Models` of module 'subten', with the datatype of each tensor. */
export function declarations(models: readonly ModelTypes[]): string {
  const field = ({ name, datatype, optional }: TensorSpec): string =>
    `${key(name)}${optional ? '?' : ''}: '${datatype}'`
  const fields = (specs: readonly TensorSpec[]): string =>
    specs.length > 0 ? `{ ${specs.map(field).join('; ')} }` : '{}'
  const entries = models.map(
    ({ path, inputs, outputs }) =>
      `    ${key(path)}: {\n      inputs: ${fields(inputs)}\n      outputs: ${fields(outputs)}\n    }`,
  )
  return [
    '// Made by `subten types`; run it again when a model changes.',
    "import 'subten'",
    '',
    "declare module 'subten' {",
    '  interface Models {',
    ...entries,
    '  }',
    '}',
  ].join('\n')
}

/** A property name in quotes: any tensor name is a valid one. */
function key(name: string): string {
  const escaped = JSON.stringify(name)
    .slice(1, -1)
    .replaceAll('\\"', '"')
    .replaceAll("'", "\\'")
    .replace(/[\u2028\u2029]/g, (c) => `\\u${c.charCodeAt(0).toString(16)}`)
  return `'${escaped}'`
}
