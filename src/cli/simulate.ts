import { writeFile } from 'node:fs/promises'
import { type Command, InvalidArgumentError } from 'commander'
import { parseTime } from '../profile/search.js'
import { readTrace } from '../profile/trace-file.js'
import type { Context } from './context.js'
import { linePlot } from './line-plot.js'
import { duration, positiveNumber, wholeNumber } from './option-values.js'
import { table, toJsonText, UsageError } from './report.js'
import {
  POLICIES,
  type Policy,
  type SimulationFigures,
  type SimulationOptions,
  simulate,
  together,
} from './simulation.js'

interface Flags {
  poisson?: number
  gamma?: number
  constant?: number
  cv: number
  rows: readonly [number, number]
  deadline: number
  duration: number
  warmup: number
  instances: number
  paces?: readonly number[]
  latency?: Line
  latencyTable?: readonly (readonly [number, number])[]
  latencyOf?: string
  noise: number
  maxBatch: number
  maxQueue: number
  delay?: number
  burnt: readonly [number, number]
  policy: readonly Policy[]
  sweep?: readonly [number, number, number]
  probe: number
  seed: number
  seeds: number
  json?: boolean
  out?: string
  plot?: string
}
interface Line {
  readonly baseNs: number
  readonly rowNs: number
}
interface Run {
  readonly policy: Policy
  /** Times the given rate, with --sweep. */
  readonly load: number
  readonly figures: SimulationFigures
}

export function addSimulate(program: Command, context: Context): void {
  program
    .command('simulate')
    .description('what batching policies would make of a load: the scheduler itself under a virtual clock')
    .argument('[trace]', 'times of requests, CSV or JSON Lines, as bench --replay takes them')
    .option('--poisson <rate>', 'Poisson arrivals, requests a second', positiveNumber)
    .option('--gamma <rate>', 'bursts: gamma gaps with --cv', positiveNumber)
    .option('--constant <rate>', 'equal gaps', positiveNumber)
    .option('--cv <n>', 'coefficient of variation of --gamma', positiveNumber, 4)
    .option('--rows <n|low-high>', 'rows of a request', rowsOption, [1, 1])
    .option('--deadline <time>', 'what a request may take', duration, 10_000)
    .option('--burnt <low:high>', 'share of the deadline that is gone on arrival, as 0:0.8', burntOption, [0, 0])
    .option('--duration <time>', 'simulated', duration, 10_000_000)
    .option('--warmup <time>', 'before it, not counted', duration, 1_000_000)
    .option('--instances <n>', 'of the model', wholeNumber(1, 1024), 1)
    .option('--paces <list>', 'instances that differ, as 1,1,2: batches take so many times as long there', pacesOption)
    .option('--latency <base+row>', 'time of a batch, as 1ms+0.1ms a row (the default)', latencyOption)
    .option('--latency-table <list>', 'or by rows, as 1=2ms,8=3ms,64=9ms', tableOption)
    .option('--latency-of <model>', 'or as batches of this model take, measured now')
    .option('--noise <sigma>', 'lognormal noise of batch times', share, 0.05)
    .option('--max-batch <n>', 'rows', wholeNumber(1, 65_536), 8)
    .option('--max-queue <n>', 'requests that may wait', wholeNumber(1, 2 ** 20), 4096)
    .option('--delay <time>', 'max_queue_delay of static (0)', duration)
    .option('--policy <list>', `of ${POLICIES.join(', ')}`, policiesOption, ['slo', 'static'])
    .option('--sweep <from:to:step>', 'times the rate, as 0.1:2:0.1', sweepOption)
    .option(
      '--probe <n>',
      'follow one refused request in n, to see whether it would have made it',
      wholeNumber(0, 1e9),
      0,
    )
    .option('--seed <n>', 'of the first run', wholeNumber(0, 2 ** 32 - 1), 1)
    .option('--seeds <n>', 'runs with one seed each, together', wholeNumber(1, 10_000), 1)
    .option('--json', 'print JSON')
    .option('--out <file>', 'write JSON')
    .option('--plot <file>', 'write goodput against load as SVG; with --sweep')
    .action(async (trace: string | undefined, flags: Flags) => {
      const options = await optionsOf(trace, flags, context)
      if (flags.plot && !flags.sweep) throw new UsageError('--plot draws goodput against load: it needs --sweep')
      const runs: Run[] = []
      for (const load of loadsOf(flags)) {
        for (const policy of flags.policy) {
          context.progress?.(`simulating ${policy} at ${load} times the load`)
          runs.push({ policy, load, figures: await runOf(options, policy, load, flags) })
        }
      }
      context.progress?.('')
      const report = {
        options: { ...options, load: { ...options.load, traceNs: undefined } },
        runs: runs.map(reported),
      }
      if (flags.out) await writeFile(flags.out, `${toJsonText(report)}\n`)
      if (flags.plot) await writeFile(flags.plot, plotOf(runs, flags))
      context.out(flags.json ? toJsonText(report) : text(runs))
    })
}

async function optionsOf(trace: string | undefined, flags: Flags, context: Context): Promise<SimulationOptions> {
  const kinds = (['poisson', 'gamma', 'constant'] as const).filter((kind) => flags[kind] !== undefined)
  if (kinds.length + (trace === undefined ? 0 : 1) !== 1) {
    throw new UsageError('Give one load: a trace, --poisson, --gamma or --constant with a rate.')
  }
  const engines = [flags.latency, flags.latencyTable, flags.latencyOf].filter((each) => each !== undefined)
  if (engines.length > 1) throw new UsageError('Give one of --latency, --latency-table and --latency-of.')
  if (trace !== undefined && flags.sweep) throw new UsageError('--sweep changes a rate: a trace has none.')
  if (flags.rows[1] > flags.maxBatch) throw new UsageError('--rows must not be above --max-batch.')
  const kind = kinds[0]
  const times = trace === undefined ? undefined : await readTrace(trace)
  const table =
    flags.latencyOf === undefined ? flags.latencyTable : await measured(flags.latencyOf, flags.maxBatch, context)
  return {
    load: {
      kind: kind ?? 'trace',
      rate: kind ? flags[kind] : undefined,
      cv: flags.cv,
      traceNs: times && Array.from(times),
      durationNs: times ? (times.at(-1) as number) + 1 : flags.duration * 1000,
      warmUpNs: times ? 0 : flags.warmup * 1000,
      rows: flags.rows,
      burnt: flags.burnt,
    },
    engine: {
      instances: flags.paces?.length ?? flags.instances,
      ...(flags.paces && { paces: flags.paces }),
      ...(table ? { table } : (flags.latency ?? {})),
      noise: flags.noise,
    },
    policy: { kind: 'slo', delayNs: (flags.delay ?? 0) * 1000 },
    targetNs: flags.deadline * 1000,
    maxBatch: flags.maxBatch,
    maxQueue: flags.maxQueue,
    probe: flags.probe,
    seed: flags.seed,
  }
}

/** The median of a few batches of each power of two, through the model itself. */
async function measured(path: string, maxBatch: number, context: Context): Promise<[number, number][]> {
  const { measuredTable } = await import('./simulate-model.js')
  return measuredTable(path, maxBatch, context)
}

function loadsOf({ sweep }: Flags): number[] {
  if (!sweep) return [1]
  const [from, to, step] = sweep
  return Array.from({ length: Math.floor((to - from) / step + 1e-9) + 1 }, (_, i) =>
    Number((from + i * step).toFixed(9)),
  )
}

async function runOf(
  options: SimulationOptions,
  policy: Policy,
  load: number,
  flags: Flags,
): Promise<SimulationFigures> {
  const runs: SimulationFigures[] = []
  for (let i = 0; i < flags.seeds; i++) {
    runs.push(
      await simulate({
        ...options,
        load: { ...options.load, rate: options.load.rate && options.load.rate * load },
        policy: { ...options.policy, kind: policy },
        seed: flags.seed + i,
      }),
    )
  }
  return together(runs)
}

function reported({ policy, load, figures }: Run): object {
  const { offeredSeries: _offered, goodSeries: _good, windowNs: _window, ...rest } = figures
  return { policy, load, ...rest }
}

function perSecond(count: number, { spanNs }: SimulationFigures): number {
  return count / (spanNs / 1e9)
}

function text(runs: readonly Run[]): string {
  const sweep = runs.some(({ load }) => load !== 1)
  const ms = (ns: number): string => (ns < 0 ? 'none' : (ns / 1e6).toFixed(2))
  const percent = (part: number, of: number): string => (of === 0 ? '-' : ((part / of) * 100).toFixed(2))
  const rows = runs.map(({ policy, load, figures: f }) => [
    policy,
    ...(sweep ? [load] : []),
    perSecond(f.offered, f).toFixed(0),
    perSecond(f.good, f).toFixed(0),
    percent(f.good, f.offered),
    percent(f.refused + f.queueFull, f.offered),
    percent(f.dropped + f.expired + f.late, f.admitted),
    ms(f.answeredP50),
    ms(f.answeredP99),
    ms(f.admittedP99),
    f.batches === 0 ? '-' : (f.rows / f.batches).toFixed(2),
    ...(runs.some((run) => run.figures.probed > 0) ? [percent(f.probedGood, f.probed)] : []),
  ])
  const head = [
    'policy',
    ...(sweep ? ['load'] : []),
    'offered/s',
    'goodput/s',
    'good %',
    'refused %',
    'of admitted missed %',
    'p50 ms',
    'p99 ms',
    'p99 of admitted ms',
    'mean batch',
    ...(runs.some((run) => run.figures.probed > 0) ? ['refused in vain %'] : []),
  ]
  const best = runs[0] ? `all instances can do ${runs[0].figures.saturation.toFixed(0)} rows a second at best` : ''
  return `${table(head, rows)}\n${best}`
}

function plotOf(runs: readonly Run[], flags: Flags): string {
  return linePlot({
    title: `Goodput within ${flags.deadline / 1000} ms`,
    x: 'offered load, requests a second',
    y: 'goodput, requests a second',
    lines: flags.policy.map((name) => ({
      name,
      points: runs
        .filter(({ policy }) => policy === name)
        .map(({ figures: f }) => [perSecond(f.offered, f), perSecond(f.good, f)] as const),
    })),
  })
}

// ---- values of options ----

function share(value: string): number {
  const number = value.trim() === '' ? Number.NaN : Number(value)
  if (number >= 0 && number <= 3) return number
  throw new InvalidArgumentError('It must be a number from 0 to 3.')
}

function rowsOption(value: string): readonly [number, number] {
  const [, low, high] = /^(\d+)(?:-(\d+))?$/.exec(value.trim()) ?? []
  const pair = [Number(low), Number(high ?? low)] as const
  if (pair[0] >= 1 && pair[1] >= pair[0]) return pair
  throw new InvalidArgumentError('It must be a number of rows, or two: 1-4.')
}

function burntOption(value: string): readonly [number, number] {
  const [low, high, more] = value.split(':').map(Number)
  if (low !== undefined && high !== undefined && more === undefined && low >= 0 && high >= low && high < 1)
    return [low, high]
  throw new InvalidArgumentError('It must be two shares, as 0:0.8.')
}

function sweepOption(value: string): readonly [number, number, number] {
  const [from, to, step] = value.split(':').map(Number)
  const valid = from !== undefined && to !== undefined && step !== undefined && from > 0 && to >= from && step > 0
  if (valid && (to - from) / step <= 1000) return [from, to, step]
  throw new InvalidArgumentError('It must be from:to:step, as 0.1:2:0.1, with at most 1000 steps.')
}

function policiesOption(value: string): Policy[] {
  const names = value === 'all' ? [...POLICIES] : value.split(',').map((name) => name.trim())
  for (const name of names) {
    if (!POLICIES.includes(name as Policy)) {
      throw new InvalidArgumentError(`There is no policy '${name}'. There are: all, ${POLICIES.join(', ')}.`)
    }
  }
  return names as Policy[]
}

function nanoseconds(value: string | undefined): number {
  const us = value?.trim() === '0' ? 0 : parseTime(value ?? '')
  if (us === undefined) throw new InvalidArgumentError('It must be times with their units, as 1ms+0.1ms.')
  return Math.round(us * 1000)
}

function latencyOption(value: string): Line {
  const [base, row, more] = value.split('+')
  if (more !== undefined) throw new InvalidArgumentError('It must be base+row, as 1ms+0.1ms.')
  return { baseNs: nanoseconds(base), rowNs: nanoseconds(row) }
}

function pacesOption(value: string): number[] {
  const paces = value.split(',').map(Number)
  if (paces.length <= 1024 && paces.every((pace) => pace >= 0.01 && pace <= 100)) return paces
  throw new InvalidArgumentError('It must be a number from 0.01 to 100 for each instance, as 1,1,2.')
}

function tableOption(value: string): [number, number][] {
  let last = 0
  return value.split(',').map((entry) => {
    const [rows, time, more] = entry.split('=')
    if (!(Number(rows) > last) || !Number.isInteger(Number(rows)) || more !== undefined) {
      throw new InvalidArgumentError('It must be rows=time in ascending order, as 1=2ms,8=3ms.')
    }
    last = Number(rows)
    return [last, nanoseconds(time)]
  })
}
