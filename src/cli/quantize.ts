import { type Command, InvalidArgumentError, Option } from 'commander'
import { METHODS, type Method, PRECISIONS, type Precision, TARGETS, type Target } from '../quantize/tool-types.js'
import { SubtenError } from '../runtime/errors.js'
import type { Context } from './context.js'
import { wholeNumber } from './option-values.js'
import { quantizedText } from './quantize-text.js'
import { toJsonText, UsageError } from './report.js'

interface Flags {
  calibration?: string
  target: Target
  precision: Precision
  method: Method
  percentile: number
  perChannel: boolean
  reduceRange: boolean
  exclude: string[]
  rows: number
  out?: string
  name?: string
  data?: string
  within: number
  layers: number
  layerSeconds: number
  json?: boolean
  force?: boolean
  debug?: boolean
}

export function addQuantize(program: Command, context: Context): void {
  program
    .command('quantize')
    .description('make an INT8 or FP16 variant of an ONNX model beside it, and say what that costs and gains')
    .argument('<model>', 'a model directory or an .onnx file')
    .option(
      '--calibration <data>',
      'an .npz or a folder of pictures like those in service; INT8 takes its ranges from it',
    )
    .addOption(
      new Option('--target <target>', 'what is to run it: CPUs want unsigned activations, TensorRT symmetric ones')
        .choices(TARGETS)
        .default('cpu'),
    )
    .addOption(
      new Option('--precision <precision>', 'static INT8, INT8 with ranges measured at run time, or FP16')
        .choices(PRECISIONS)
        .default('int8'),
    )
    .addOption(
      new Option('--method <method>', 'how a range is chosen from what calibration saw')
        .choices(METHODS)
        .default('percentile'),
    )
    .option('--percentile <percent>', 'share of the values that a range holds', percent, 99.99)
    .option('--per-channel', 'a scale for each output channel of the weights', true)
    .option('--no-per-channel', 'one scale for all weights of a layer')
    .option('--no-reduce-range', 'weights in eight bits rather than seven: only for CPUs with VNNI')
    .option('--exclude <node...>', 'nodes that stay float, by name or glob', [])
    .option('--rows <n>', 'calibration rows, drawn at random where there are more', wholeNumber(1, 1_000_000), 512)
    .option('--out <dir>', 'model repository to write into; by default the one of the model')
    .option('--name <name>', 'name of the variant; by default that of the model with _int8 or the like')
    .option('--data <data>', 'held-out data that both models are judged on')
    .option('--within <points>', 'top-1 points that may be lost before it is said aloud', points, 1)
    .option('--layers <n>', 'layers that are looked at one by one', wholeNumber(0, 10_000), 5)
    .option('--layer-seconds <s>', 'most seconds for these', wholeNumber(1, 86_400), 60)
    .option('--json', 'print JSON')
    .option('--force', 'replace a variant of this name')
    .option('--debug', "with an error, Python's own words")
    .action((path: string, flags: Flags) => quantizeModel(context, path, flags))
}

async function quantizeModel(context: Context, path: string, flags: Flags): Promise<void> {
  if (flags.precision === 'int8' && flags.calibration === undefined) {
    throw new UsageError('static INT8 takes the ranges of its tensors from data: give --calibration')
  }
  if (flags.precision !== 'int8' && flags.target === 'tensorrt') {
    throw new UsageError('--target tensorrt is for --precision int8: a model in FP16 is the same for both')
  }
  // Loaded when it is needed: other commands need no image decoder.
  const { quantize } = await import('../quantize/quantize.js')
  const abort = new AbortController()
  const stop = (signal: NodeJS.Signals): void => abort.abort(new Error(`interrupted by ${signal}`))
  process.once('SIGINT', stop)
  process.once('SIGTERM', stop)
  try {
    const { layerSeconds, ...options } = flags
    const made = await quantize(
      path,
      { ...options, layerSeconds },
      {
        load: context.load,
        signal: abort.signal,
        onNote: (text) => {
          context.progress?.('')
          context.err(`note: ${text}`)
        },
        onProgress: (phase, done, total) => context.progress?.(progressLine(phase, done, total)),
      },
    )
    context.progress?.('')
    context.out(flags.json ? toJsonText(made) : quantizedText(made, flags.within))
  } catch (error) {
    context.progress?.('')
    if (flags.debug && error instanceof SubtenError && typeof error.details.trace === 'string') {
      context.err(error.details.trace.trimEnd())
    }
    throw error
  } finally {
    process.off('SIGINT', stop)
    process.off('SIGTERM', stop)
  }
}

const PHASES: Readonly<Record<string, string>> = {
  rows: 'reading calibration rows',
  prepare: 'preparing the graph',
  calibrate: 'calibrating',
  layers: 'comparing layers',
  sensitivity: 'trying single layers',
  compare: 'comparing the models',
  speed: 'timing both models',
}

function progressLine(phase: string, done: number, total: number): string {
  const share = total > 1 ? ` ${done} of ${total}` : ''
  return `${PHASES[phase] ?? phase}${share}`
}

function percent(text: string): number {
  const value = text.trim() === '' ? Number.NaN : Number(text)
  if (value > 50 && value <= 100) return value
  throw new InvalidArgumentError('It must be a number above 50, at most 100.')
}

function points(text: string): number {
  const value = text.trim() === '' ? Number.NaN : Number(text)
  if (value >= 0 && value <= 100) return value
  throw new InvalidArgumentError('It must be a number of points from 0 to 100.')
}
