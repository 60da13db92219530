import { mkdir, writeFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { basename, extname, join, resolve } from 'node:path'
import { type Command, InvalidArgumentError } from 'commander'
import type { SearchProgress } from '../optimize/options.js'
import type { Optimized } from '../optimize/run.js'
import { parseGoal, parseTime } from '../profile/search.js'
import { shapeOption } from './bench.js'
import { ownProgram } from './bench-processes.js'
import type { Context } from './context.js'
import { FAILED, OK } from './exit-codes.js'
import { machineFacts } from './machine-facts.js'
import { duration, positiveNumber, wholeNumber, wholeNumbers } from './option-values.js'
import { toJsonText, UsageError } from './report.js'

interface Flags {
  slo: number
  data?: string
  variants?: string[]
  engine?: string[]
  accuracyDrop: number
  batch?: number[]
  delay?: (number | 'off' | 'slo')[]
  instances?: number[]
  threads?: number[]
  shape: Record<string, number[]>
  budget: number
  seconds?: number
  repeats: number
  seed: number
  rate?: number
  state?: string
  resume?: boolean
  fresh?: boolean
  out?: string
  progress?: boolean
  json?: boolean
}

const ENGINES = ['onnxruntime', 'triton', 'null'] as const
/** Of a process that Ctrl-C ended. */
const INTERRUPTED = 130

/** `subten optimize`: the setting of a model that serves most within a contract, and a report that says why. */
export function addOptimize(program: Command, context: Context): void {
  program
    .command('optimize')
    .description(
      'find the precision, batching, instances and threads that serve most within a latency; write the config and a report',
    )
    .argument('<model>', 'a model directory or a model file')
    .requiredOption('--slo <goal>', 'the latency to keep, as p99=20ms', sloOption)
    .option('--data <file>', 'held-out data: an .npz, or a folder of pictures; without it no variant is recommended')
    .option('--variants <list>', 'folders beside the model, or paths (those whose subten.quantization names it)', words)
    .option('--engine <list>', `engines to try: ${ENGINES.join(', ')} (the model's own)`, enginesOption)
    .option('--accuracy-drop <points>', 'points of top-1 accuracy that may be lost', dropOption, 1)
    .option(
      '--batch <list>',
      'batch sizes; 1 is no batching (1, 4, 8 and the most the model takes)',
      wholeNumbers(1, 65_536),
    )
    .option('--delay <list>', "queue delays; 'off': no batching, 'slo': deadline-aware (off,0,1ms,slo)", delaysOption)
    .option('--instances <list>', 'instances (1 and as many as CPUs)', wholeNumbers(1, 64))
    .option('--threads <list>', 'threads inside a run (1 and as many as CPUs)', wholeNumbers(1, 256))
    .option('--shape <name=dims>', 'shape of an input with unknown dimensions; may be repeated', shapeOption, {})
    .option('--budget <time>', 'how long the search may take, as 10m', budgetOption, 600)
    .option('--seconds <s>', 'of load for each measurement of the last stage (what the budget allows)', positiveNumber)
    .option('--repeats <n>', 'measurements of each finalist, in turns', wholeNumber(1, 100), 3)
    .option('--rate <n>', 'requests a second at which goodput is compared and the choice is verified', positiveNumber)
    .option('--seed <n>', 'of inputs, arrivals and the order of measurements', wholeNumber(0, 2 ** 32 - 1), 1)
    .option('--out <dir>', 'folder for config.pbtxt and the reports (optimize-<model>)')
    .option('--state <dir>', 'folder of the journal (state in the folder of the reports)')
    .option('--resume', 'fail rather than begin anew where there is no search to go on with')
    .option('--fresh', 'begin anew, whatever was measured before')
    .option('--progress', 'print progress also where nobody watches a terminal')
    .option('--json', 'print the report as JSON')
    .addHelpText(
      'after',
      '\nA search that was stopped goes on when the same command is given again.\nExit codes: 1 also where no setting keeps the latency, 130 when stopped by Ctrl-C. See docs/optimize.md.',
    )
    .action(async (path: string, flags: Flags, command: Command) => {
      if (flags.resume && flags.fresh) throw new UsageError('give one of --resume and --fresh')
      const found = await withSignals(context, (signal) => search(context, path, flags, signal))
      if (found === undefined) return void command.setOptionValue('exitCode', INTERRUPTED)
      command.setOptionValue('exitCode', found.report.recommendation === undefined ? FAILED : OK)
    })

  program.command('measure-candidate', { hidden: true }).action(async () => {
    const { serveRequest } = await import('../optimize/measure-process.js')
    const { answer } = await import('../optimize/measure-child.js')
    await serveRequest(process.stdin, (text) => context.out(text), answer)
  })
}

async function search(context: Context, path: string, flags: Flags, signal: AbortSignal): Promise<Optimized> {
  const { optimize } = await import('../optimize/run.js')
  const { inProcess } = await import('../optimize/measure-process.js')
  const { openDataset } = await import('../data/dataset.js')
  const out = flags.out ?? `optimize-${basename(resolve(path), extname(path))}`
  const program = context.program ?? ownProgram()
  const system = await context.systemInfo()
  const { engine, batch, delay, instances, threads, ...rest } = flags
  const found = await optimize(
    {
      ...rest,
      model: path,
      limitUs: flags.slo,
      ...(engine === undefined ? {} : { engines: engine }),
      ...(batch === undefined ? {} : { batches: batch }),
      ...(delay === undefined ? {} : { delays: delay }),
      ...(instances === undefined ? {} : { instances }),
      ...(threads === undefined ? {} : { threads }),
      budgetSeconds: flags.budget,
      shapes: flags.shape,
      state: flags.state ?? join(out, 'state'),
      fresh: flags.fresh === true,
      resume: flags.resume === true,
    },
    {
      machine: { ...machineFacts(), cpus: Math.min(system.cpus.used, availableParallelism()) },
      engines: new Set(system.engines.filter(({ available }) => available).map(({ name }) => name)),
      load: (model, options) => context.load(model, options),
      ask: (request, seconds) => inProcess(program, request, seconds, signal),
      openData: openDataset,
      say: (text) => {
        context.progress?.('')
        context.err(text)
      },
      progress: progressOf(context, flags.progress === true),
      signal,
    },
  )
  context.progress?.('')
  await write(context, out, found, flags)
  return found
}

async function write(context: Context, out: string, { report, recommended }: Optimized, flags: Flags): Promise<void> {
  const { optimizeHtml } = await import('../report/optimize-html.js')
  const { optimizeMarkdown } = await import('../report/optimize-markdown.js')
  const { configFileOf } = await import('../optimize/config-file.js')
  await mkdir(out, { recursive: true })
  const markdown = optimizeMarkdown(report)
  await writeFile(join(out, 'report.json'), `${toJsonText(report)}\n`)
  await writeFile(join(out, 'report.html'), optimizeHtml(report))
  await writeFile(join(out, 'report.md'), markdown)
  if (report.recommendation !== undefined && recommended !== undefined) {
    const { candidate } = report.recommendation
    const says = [
      `Written by subten ${report.machine.subten} optimize for the model '${recommended.name}': put it into that model's folder.`,
    ]
    await writeFile(join(out, 'config.pbtxt'), configFileOf(recommended.located.document, candidate, flags.slo, says))
  }
  if (flags.json) return context.out(toJsonText(report))
  const { optimizeText } = await import('../report/optimize-markdown.js')
  context.out(optimizeText(report))
  context.out(
    `\n${report.recommendation === undefined ? '' : `${join(out, 'config.pbtxt')}\n`}${join(out, 'report.html')}`,
  )
}

/** Ctrl-C, and a request to end, stop what is measured and leave the journal; the second ends the process at once. */
async function withSignals<T>(context: Context, run: (signal: AbortSignal) => Promise<T>): Promise<T | undefined> {
  const controller = new AbortController()
  const stop = (): void => {
    if (controller.signal.aborted) process.exit(INTERRUPTED)
    controller.abort(new Error('stopped'))
  }
  process.on('SIGINT', stop).on('SIGTERM', stop)
  try {
    return await run(controller.signal)
  } catch (error) {
    if (!controller.signal.aborted) throw error
    context.progress?.('')
    context.err('stopped; the same command goes on where this one ended')
    return undefined
  } finally {
    context.progress?.('')
    process.removeListener('SIGINT', stop).removeListener('SIGTERM', stop)
  }
}

function progressOf(context: Context, always: boolean): (state: SearchProgress) => void {
  const began = Date.now()
  let first: number | undefined
  return ({ what, doneSeconds, allSeconds }) => {
    first ??= doneSeconds
    // What a journal had took no time: how fast this machine is shows in what was measured now.
    const measured = doneSeconds - first
    const pace = measured > 20 ? (Date.now() - began) / 1000 / measured : 1
    const left = Math.max(0, allSeconds - doneSeconds) * pace
    const line = `${Math.round((100 * doneSeconds) / Math.max(1, allSeconds))} %, ${clock(left)} left: ${what}`
    if (always) context.err(line)
    else context.progress?.(line)
  }
}

const clock = (seconds: number): string =>
  seconds < 90 ? `${Math.round(seconds)} s` : `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`

// ---- values of options ----

function sloOption(text: string): number {
  const goal = parseGoal(text)
  if (goal === undefined) throw new InvalidArgumentError('It must be a percentile and a time, as p99=20ms.')
  if (goal.share !== 0.99) throw new InvalidArgumentError('Contracts are about p99: give p99=20ms, or another time.')
  return goal.limitUs
}

const words = (text: string): string[] =>
  text
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '')

function enginesOption(text: string): string[] {
  const names = words(text)
  for (const name of names) {
    if (!(ENGINES as readonly string[]).includes(name))
      throw new InvalidArgumentError(`There is no engine '${name}'. There are: ${ENGINES.join(', ')}.`)
  }
  return [...new Set(names)]
}

function dropOption(text: string): number {
  const points = text.trim() === '' ? Number.NaN : Number(text)
  if (points >= 0 && points <= 100) return points
  throw new InvalidArgumentError('It must be points from 0 to 100.')
}

function delaysOption(text: string): (number | 'off' | 'slo')[] {
  return words(text).map((word) => {
    if (word === 'off' || word === 'slo') return word
    if (word === '0') return 0
    return Math.round(duration(word))
  })
}

/** `10m`, `90s`, `1h`; seconds. */
function budgetOption(text: string): number {
  const [, digits, unit] = /^(\d+(?:\.\d+)?)\s*(m|min|h)$/.exec(text.trim()) ?? []
  const seconds =
    digits === undefined ? (parseTime(text) ?? Number.NaN) / 1e6 : Number(digits) * (unit === 'h' ? 3600 : 60)
  if (seconds > 0) return seconds
  throw new InvalidArgumentError('It must be a time, as 10m, 90s or 1h.')
}
