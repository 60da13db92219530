import { readFile, writeFile } from 'node:fs/promises'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { SCENARIOS } from '../profile/mlperf.js'
import type { ProfileReport } from '../profile/report-types.js'
import { parseGoal } from '../profile/search.js'
import type { Target } from '../profile/target.js'
import { compared } from './bench-compare.js'
import { benchInProcesses } from './bench-processes.js'
import { type BenchFlags, runBench } from './bench-runs.js'
import { benchText } from './bench-text.js'
import type { Context } from './context.js'
import { FAILED, OK } from './exit-codes.js'
import { duration, positiveNumber, wholeNumber, wholeNumbers } from './option-values.js'
import { toJsonText, UsageError } from './report.js'

const PROTOCOLS = ['kserve-json', 'kserve-binary', 'classify', 'kserve-grpc'] as const
const ARRIVALS = ['poisson', 'constant', 'gamma'] as const

interface Flags extends BenchFlags {
  modelVersion?: string
  url?: string
  protocol: (typeof PROTOCOLS)[number]
  image?: string
  json?: boolean
  out?: string
  report?: string
  compare?: string
  rounds: number
  processes?: number
  every?: number
  sla?: string
}

export function addBench(program: Command, context: Context): void {
  program
    .command('bench')
    .description('measure a model, or a server: latency that hides nothing, throughput, stage by stage')
    .argument('<model>', "a model directory or a model file; with --url the model's name on the server")
    .option(
      '--concurrency <list>',
      'closed loop: callers, one run each (1,64 without --rate)',
      wholeNumbers(1, 100_000),
    )
    .option('--rate <list>', 'open loop: requests a second, one run each', positiveNumbers)
    .addOption(new Option('--arrivals <kind>', 'gaps of --rate').choices(ARRIVALS).default('poisson'))
    .option('--cv <n>', 'with --arrivals gamma: coefficient of variation; above 1 is bursts', positiveNumber, 2)
    .option('--ramp <from:to>', 'open loop: Poisson arrivals from one rate to another', rampOption)
    .option('--replay <file>', 'open loop: the times of a recorded trace (CSV or JSON Lines)')
    .option('--speed <n>', 'with --replay: so many times as fast', positiveNumber, 1)
    .option('--duration <s>', 'length of each measured part (5; of a replay, the trace)', positiveNumber)
    .option('--warmup <s>', "before it, not counted; 'auto' until latency is steady", warmupOption, 'auto')
    .option('--warmup-max <s>', 'the most that auto takes', positiveNumber, 10)
    .option('--seed <n>', 'of inputs and arrival times', wholeNumber(0, 2 ** 32 - 1), 1)
    .option('--shape <name=dims>', 'shape of an input, as image=1,3,224,224; may be repeated', shapeOption, {})
    .option('--deadline <time>', 'deadline of each request, as 10ms', duration)
    .option('--timeout <time>', 'how long answers are waited for', duration, 10_000_000)
    .option('--good-within <time>', 'count answers within this time as goodput', duration)
    .option('--late-bound <time>', 'a request sent so much after its time is late', duration, 1000)
    .option('--late-allowed <percent>', 'of late requests before a run is invalid', positiveNumber, 1)
    .option('--model-version <version>', 'another version than the default')
    .option('--url <url>', 'measure a server, as http://127.0.0.1:8000')
    .addOption(new Option('--protocol <name>', 'of the server').choices(PROTOCOLS).default('kserve-binary'))
    .option('--image <file>', 'with --protocol classify: the picture to send')
    .option('--connections <n>', 'to the server at most', wholeNumber(1, 65_535), 1024)
    .option('--find <goal>', 'the highest rate that keeps a latency, as p99=10ms', goalOption)
    .option('--repeats <n>', 'with --find: how often it is looked for', wholeNumber(1, 100), 3)
    .addOption(new Option('--mlperf <scenario>', 'run by the rules of MLPerf inference').choices(SCENARIOS))
    .option('--mlperf-duration <s>', 'shorter than the 600 s of the rules: the result is not valid', positiveNumber)
    .option('--mlperf-latency <time>', 'server scenario: what 99 % of queries must keep', duration, 10_000)
    .option('--compare <report|build>', 'with a report of before (JSON), or a folder with another build, in turns')
    .option('--rounds <n>', 'with --compare of a build: turns of each', wholeNumber(2, 1000), 31)
    .option('--processes <n>', 'measure so often, each time in a process of its own', wholeNumber(2, 100))
    .option('--every <time>', 'with --processes: from one start to the next, to spread them over time', duration)
    .option('--sla <file>', 'judge the runs by a contract; exit code 1 where it is broken')
    .option('--out <file>', 'write the report as JSON')
    .option('--report <file>', 'write the report as one HTML file')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nExit codes: 1 also for an invalid run, failed requests, a broken contract. See docs/benchmarking.md.',
    )
    .action(async (path: string, flags: Flags, command: Command) => {
      checkCombination(flags)
      const report = await bench(context, path, flags, (command.parent as Command & { rawArgs: string[] }).rawArgs)
      context.out(flags.json ? toJsonText(report) : benchText(report))
      command.setOptionValue('exitCode', isGood(report) ? OK : FAILED)
    })
}

async function bench(context: Context, path: string, flags: Flags, args: readonly string[]): Promise<ProfileReport> {
  const contract =
    flags.sla === undefined ? undefined : await (await import('../sla/contract.js')).readContract(flags.sla)
  if (contract && flags.goodWithin === undefined) {
    // The objective with this threshold is then counted, not read off the curve.
    const latency = contract.objectives.find(({ indicator }) => 'thresholdUs' in indicator)
    if (latency && 'thresholdUs' in latency.indicator) flags.goodWithin = latency.indicator.thresholdUs
  }
  let report: ProfileReport
  if (flags.processes !== undefined) {
    report = await benchInProcesses(context, { ...flags, processes: flags.processes }, args)
  } else if (flags.url !== undefined) {
    report = await runBench(context, await serverOf(flags.url, path, flags), flags)
  } else {
    const model = await context.load(path, { version: flags.modelVersion })
    try {
      report = await runBench(context, model, flags)
    } finally {
      await model.close()
    }
  }
  if (contract) report = { ...report, verdict: (await import('../sla/verdict.js')).verdictOf(contract, judged(report)) }
  if (flags.compare !== undefined) {
    report = { ...report, comparison: await compared(context, flags.compare, report, args, flags.rounds) }
  }
  if (flags.out !== undefined) await writeFile(flags.out, `${toJsonText(report)}\n`)
  if (flags.report !== undefined) {
    await writeFile(flags.report, (await import('../report/profile-html.js')).profileHtml(report))
  }
  return report
}

/** Of several processes, those that kept their schedule are judged; a run alone is judged as it is. */
function judged(report: ProfileReport): ProfileReport {
  if (!report.repeated?.valid) return report
  return { ...report, runs: report.runs.filter((run) => run.schedule?.kept !== false) }
}

async function serverOf(url: string, model: string, flags: Flags): Promise<Target> {
  const image = flags.image === undefined ? undefined : await readFile(flags.image)
  return { url, protocol: flags.protocol, model, version: flags.modelVersion, image }
}

function isGood(report: ProfileReport): boolean {
  const { runs, repeated } = report
  if (runs.some(({ requests }) => requests.succeeded < requests.sent)) return false
  if (repeated ? !repeated.valid : runs.some(({ schedule }) => schedule?.kept === false)) return false
  if (report.mlperf?.valid === false || (report.search !== undefined && !(report.search.rate > 0))) return false
  return report.verdict?.every((verdict) => verdict.ok) ?? true
}

function checkCombination(flags: Flags): void {
  const loads = (['concurrency', 'rate', 'ramp', 'replay'] as const).filter((name) => flags[name] !== undefined)
  if (loads.length > 1) throw new UsageError(`give one of --${loads.join(', --')}`)
  if (flags.find && flags.mlperf) throw new UsageError('give one of --find and --mlperf')
  if (flags.processes !== undefined && (flags.find || flags.mlperf)) {
    throw new UsageError(`--processes takes no --${flags.find ? 'find' : 'mlperf'}`)
  }
  if (flags.every !== undefined && flags.processes === undefined) throw new UsageError('--every needs --processes')
  if (flags.find && loads.length > 0 && loads[0] !== 'rate') throw new UsageError(`--find takes no --${loads[0]}`)
  if (flags.protocol === 'classify' && flags.url !== undefined && flags.image === undefined) {
    throw new UsageError('--protocol classify needs --image FILE')
  }
}

function positiveNumbers(text: string): number[] {
  return text.split(',').map((part) => positiveNumber(part.trim()))
}

function rampOption(text: string): { from: number; to: number } {
  const [, from, to] = /^([\d.]+):([\d.]+)$/.exec(text) ?? []
  if (from === undefined || to === undefined) throw new InvalidArgumentError('It must be two rates, as 100:2000.')
  return { from: Number(from), to: Number(to) }
}

function warmupOption(text: string): number | 'auto' {
  return text === 'auto' ? 'auto' : text === '0' ? 0 : positiveNumber(text)
}

function goalOption(text: string): NonNullable<ReturnType<typeof parseGoal>> {
  const goal = parseGoal(text)
  if (goal) return goal
  throw new InvalidArgumentError('It must be a percentile and a time, as p99=10ms.')
}

export function shapeOption(text: string, before: Record<string, number[]>): Record<string, number[]> {
  const [, name, dims] = /^(.+)=([\d,]*)$/.exec(text) ?? []
  if (name === undefined || dims === undefined) throw new UsageError(`--shape takes name=dims, not ${text}`)
  return { ...before, [name]: dims === '' ? [] : dims.split(',').map(Number) }
}
