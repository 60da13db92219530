import type { Command } from 'commander'
import type { Stats } from '../runtime/stats.js'
import type { Inputs, Model } from '../runtime/types.js'
import { closedLoop, type Measured, openLoop } from './bench-load.js'
import { type BenchReport, type BenchRun, benchNotes, benchText, latencyUs } from './bench-report.js'
import type { Context } from './context.js'
import { FAILED, OK } from './exit-codes.js'
import { positiveNumber, wholeNumber, wholeNumbers } from './option-values.js'
import { toJsonText, UsageError } from './report.js'
import { seededInputs, seededRandom } from './seeded-inputs.js'

interface BenchFlags {
  concurrency: number[]
  rate?: number
  duration: number
  warmup: number
  seed: number
  shape: Map<string, number[]>
  modelVersion?: string
  json?: boolean
}

export function addBench(program: Command, context: Context): void {
  program
    .command('bench')
    .description('measure a model: throughput, and latency stage by stage')
    .argument('<model>', 'a model directory or a model file')
    .option('--concurrency <list>', 'closed loop: callers, one measurement each', wholeNumbers(1, 100_000), [1, 64])
    .option('--rate <per second>', 'open loop: Poisson arrivals, latency from the intended send time', positiveNumber)
    .option('--duration <s>', 'length of each measurement', positiveNumber, 5)
    .option('--warmup <s>', 'run before each measurement, not counted', nonNegative, 1)
    .option('--seed <n>', 'of inputs and arrival times', wholeNumber(0, 2 ** 32 - 1), 1)
    .option('--shape <name=dims>', 'shape of an input, as image=1,3,224,224; may be repeated', shapeOption, new Map())
    .option('--model-version <version>', 'another version than the default')
    .option('--json', 'print JSON')
    .action(async (path: string, flags: BenchFlags, command: Command) => {
      const model = await context.load(path, { version: flags.modelVersion })
      try {
        const report = await bench(context, model, flags)
        context.out(flags.json ? toJsonText(report) : benchText(report))
        command.setOptionValue('exitCode', report.runs.some((run) => run.failed > 0) ? FAILED : OK)
      } finally {
        await model.close()
      }
    })
}

async function bench(context: Context, model: Model, flags: BenchFlags): Promise<BenchReport> {
  const inputs = seededInputs(model, seededRandom(flags.seed), 16, flags.shape)
  // The first answer tells early, and plainly, when the inputs do not suit the model.
  await model.infer(inputs[0] as Inputs)
  const runs: BenchRun[] = []
  const { rate } = flags
  if (rate !== undefined) {
    const run = (seconds: number, seed: number): Promise<Measured> =>
      openLoop(model, inputs, rate, seconds, seededRandom(seed))
    runs.push(await measure(context, model, `${rate}/s`, { rate }, flags, run))
  } else {
    for (const concurrency of flags.concurrency) {
      const run = (seconds: number): Promise<Measured> => closedLoop(model, inputs, concurrency, seconds)
      runs.push(await measure(context, model, `${concurrency} in flight`, { concurrency }, flags, run))
    }
  }
  const { name, version, engine } = model
  const report = { model: name, version, engine, node: process.version, seed: flags.seed, runs }
  return { ...report, notes: benchNotes(runs) }
}

async function measure(
  context: Context,
  model: Model,
  label: string,
  kind: { rate?: number; concurrency?: number },
  flags: BenchFlags,
  run: (seconds: number, seed: number) => Promise<Measured>,
): Promise<BenchRun> {
  context.err(`${label}: warming up ${flags.warmup} s, measuring ${flags.duration} s`)
  if (flags.warmup > 0) await run(flags.warmup, flags.seed + 1)
  model.resetStats()
  const measured = await run(flags.duration, flags.seed)
  const stats: Stats = model.stats()
  return {
    ...kind,
    seconds: measured.seconds,
    succeeded: measured.succeeded,
    failed: measured.failed,
    firstError: measured.firstError instanceof Error ? measured.firstError.message : undefined,
    throughput: measured.succeeded / measured.seconds,
    latencyUs: latencyUs(measured.latency),
    latenessUs: measured.lateness && latencyUs(measured.lateness),
    stagesUs: stats.stages,
    batches: stats.batches,
  }
}

function nonNegative(text: string): number {
  return text === '0' ? 0 : positiveNumber(text)
}

function shapeOption(text: string, before: Map<string, number[]>): Map<string, number[]> {
  const [, name, dims] = /^(.+)=([\d,]*)$/.exec(text) ?? []
  if (name === undefined || dims === undefined) throw new UsageError(`--shape takes name=dims, not ${text}`)
  return new Map(before).set(name, dims === '' ? [] : dims.split(',').map(Number))
}
