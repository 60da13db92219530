import { readFile } from 'node:fs/promises'
import { type Command, Option } from 'commander'
import { sniff } from '../image/formats.js'
import { imageInputOf, imageSpecOf } from '../image/image-spec.js'
import { preparePicture } from '../image/prepare.js'
import { ranked, scoresOutput } from '../image/rank.js'
import type { ClassScore, Inputs, Model, Outputs } from '../runtime/types.js'
import { DEFAULT_LIMITS } from '../server/limits.js'
import type { Context } from './context.js'
import { readJsonInputs } from './json-inputs.js'
import { wholeNumber } from './option-values.js'
import { table, toJsonText, UsageError } from './report.js'

interface InferFlags {
  image?: string
  json?: string
  top: number
  format: 'text' | 'json'
  modelVersion?: string
}

export function addInfer(program: Command, context: Context): void {
  program
    .command('infer')
    .description('run a model once, on a picture or on tensors in JSON')
    .argument('<model>', 'a model directory or a model file')
    .argument('[-]', 'read the picture or the JSON from standard input')
    .option('--image <file>', 'a PNG, JPEG or WebP')
    .option('--json <file>', 'tensors by name, or a KServe v2 request')
    .option('--top <k>', 'classes to show for a picture', wholeNumber(1, 100_000), 5)
    .option('--model-version <version>', 'another version than the default')
    .addOption(new Option('--format <format>', 'how the result is printed').choices(['text', 'json']).default('text'))
    .action((path: string, stdin: string | undefined, flags: InferFlags) => infer(context, path, stdin, flags))
}

async function infer(context: Context, path: string, stdin: string | undefined, flags: InferFlags): Promise<void> {
  if (stdin !== undefined && stdin !== '-') throw new UsageError(`the second argument can only be -, not ${stdin}`)
  const given = [flags.image, flags.json, stdin].filter((source) => source !== undefined)
  if (given.length !== 1) throw new UsageError('give one of --image FILE, --json FILE and -')
  const bytes = stdin === '-' ? await context.readStdin() : await readFile(flags.image ?? (flags.json as string))
  const isImage = flags.image !== undefined || (stdin === '-' && sniff(bytes) !== undefined)
  const model = await context.load(path, { version: flags.modelVersion })
  try {
    const inputs = isImage ? await imageInputs(model, bytes) : readJsonInputs(model, bytes)
    if (model.decoupled) return await printParts(context, model, inputs, flags)
    const outputs = await model.infer(inputs, { trace: true })
    const result = { model: model.name, version: model.version, outputs: tensors(model, outputs) }
    const top = isImage ? ranking(model, outputs, flags.top) : undefined
    if (flags.format === 'json') context.out(toJsonText(top ? { ...result, top } : result))
    else context.out(top ? rankingText(top) : tensorsText(result.outputs))
  } finally {
    await model.close()
  }
}

/** Each response as it comes; as JSON one object a line. */
async function printParts(context: Context, model: Model, inputs: Inputs, flags: InferFlags): Promise<void> {
  let part = 0
  for await (const outputs of model.stream(inputs)) {
    const shown = tensors(model, outputs)
    const line = { model: model.name, version: model.version, part, outputs: shown }
    if (flags.format === 'json') context.out(JSON.stringify(JSON.parse(toJsonText(line))))
    else context.out(`part ${part}\n${tensorsText(shown)}`)
    part++
  }
  if (flags.format === 'text') context.err(`${part} parts`)
}

async function imageInputs(model: Model, bytes: Uint8Array): Promise<Inputs> {
  const tensor = imageInputOf(model)
  const limits = { maxPixels: DEFAULT_LIMITS.imagePixels, timeoutSeconds: 30 }
  const { input } = await preparePicture(bytes, imageSpecOf(model), tensor, limits)
  return { [tensor.name]: input.value }
}

interface Shown {
  name: string
  datatype: string
  shape: readonly number[]
  data: unknown[]
}

function tensors(model: Model, outputs: Outputs): Shown[] {
  return model.outputs.flatMap(({ name }) => {
    const tensor = outputs[name]
    if (!tensor) return []
    return [
      { name, datatype: tensor.datatype, shape: tensor.shape, data: Array.from(tensor.data as ArrayLike<unknown>) },
    ]
  })
}

function tensorsText(shown: readonly Shown[]): string {
  return shown
    .map(({ name, datatype, shape, data }) => {
      const first = data.slice(0, 16).map((v) => (typeof v === 'number' ? Number(v.toPrecision(6)) : v))
      return `${name} ${datatype} [${shape.join(', ')}]\n  ${first.join(' ')}${data.length > 16 ? ' …' : ''}`
    })
    .join('\n')
}

function ranking(model: Model, outputs: Outputs, k: number): readonly ClassScore[] | undefined {
  const output = scoresOutput(model)
  return output && outputs[output.name] ? ranked(model, output, outputs, k) : undefined
}

function rankingText(top: readonly ClassScore[]): string {
  return table(
    ['label', 'score'],
    top.map(({ label, score }) => [label, score.toFixed(4)]),
  )
}
