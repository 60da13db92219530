import type { Command } from 'commander'
import type { Model, TensorSpec } from '../runtime/types.js'
import type { Context } from './context.js'
import { table, toJsonText } from './report.js'

export function addInspect(program: Command, context: Context): void {
  program
    .command('inspect')
    .description('show the tensors, labels, metadata and configuration of a model')
    .argument('<model>', 'a model directory or a model file')
    .option('--model-version <version>', 'another version than the default')
    .option('--json', 'print JSON')
    .action(async (path: string, options: { modelVersion?: string; json?: boolean }) => {
      const model = await context.load(path, { version: options.modelVersion })
      try {
        context.out(options.json ? toJsonText(describe(model)) : text(model))
      } finally {
        await model.close()
      }
    })
}

function describe(model: Model): object {
  const { name, version, engine, maxBatchSize, inputs, outputs, metadata, config } = model
  const labels = Object.fromEntries(
    outputs.flatMap((o) => (model.labels(o.name) ? [[o.name, model.labels(o.name)]] : [])),
  )
  return { name, version, engine, maxBatchSize, inputs, outputs, labels, metadata, config }
}

function text(model: Model): string {
  const row = (kind: string) => (spec: TensorSpec) => [
    kind,
    spec.name,
    spec.datatype,
    `[${spec.shape.join(', ')}]`,
    notes(model, spec),
  ]
  const rows = [...model.inputs.map(row('input')), ...model.outputs.map(row('output'))]
  const batching = model.maxBatchSize > 0 ? `batches of up to ${model.maxBatchSize}` : 'no batching'
  const parts = [
    `${model.name}, version ${model.version}, engine ${model.engine}, ${batching}`,
    table(['', 'name', 'datatype', 'shape', ''], rows),
  ]
  const facts = Object.entries(model.metadata)
  if (facts.length > 0) parts.push(`Metadata\n${facts.map(([key, value]) => `  ${key}: ${value}`).join('\n')}`)
  parts.push(`Configuration\n${toJsonText(model.config).replace(/^/gm, '  ')}`)
  return parts.join('\n\n')
}

function notes(model: Model, spec: TensorSpec): string {
  if (spec.optional) return 'optional'
  const labels = model.labels(spec.name)
  return labels ? `${labels.length} labels` : ''
}
