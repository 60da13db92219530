import type { Progress } from '../profile/generator.js'
import { type LoadPlan, loadText } from '../profile/load-plan.js'
import { mlperf, type Scenario } from '../profile/mlperf.js'
import { measure, type Profiled, type ProfileOptions } from '../profile/profile.js'
import { type MlperfResult, PROFILE_SCHEMA, type ProfileReport, type RateSearch } from '../profile/report-types.js'
import { findRate } from '../profile/search.js'
import type { Target } from '../profile/target.js'
import { trialAlone, trialAt } from '../profile/trial.js'
import type { Context } from './context.js'
import { machineFacts } from './machine-facts.js'

/** The flags of `subten bench` that say what is measured. Times are microseconds where commander made them so. */
export interface BenchFlags {
  concurrency?: number[]
  rate?: number[]
  arrivals: 'poisson' | 'constant' | 'gamma'
  cv: number
  ramp?: { from: number; to: number }
  replay?: string
  speed: number
  duration?: number
  warmup: number | 'auto'
  warmupMax: number
  seed: number
  shape: Record<string, number[]>
  deadline?: number
  timeout: number
  goodWithin?: number
  lateBound: number
  lateAllowed: number
  connections: number
  find?: { percentile: string; share: number; limitUs: number }
  repeats: number
  mlperf?: Scenario
  mlperfDuration?: number
  mlperfLatency: number
}

/** Seconds of a trial of the search, where --duration says nothing. */
const TRIAL_SECONDS = 2

/** Measures what the flags ask for. */
export async function runBench(context: Context, target: Target, flags: BenchFlags): Promise<ProfileReport> {
  const at = Date.now()
  const runs: Profiled[] = []
  let search: RateSearch | undefined
  let result: MlperfResult | undefined
  const base = optionsOf(flags)
  try {
    if (flags.mlperf !== undefined) {
      const options = {
        ...base,
        scenario: flags.mlperf,
        seconds: flags.mlperfDuration,
        latencyUs: flags.mlperfLatency,
        rate: flags.rate?.[0],
        onProgress: progressLine(context, `MLPerf ${flags.mlperf}`),
      }
      context.err(`MLPerf ${flags.mlperf}: ${flags.mlperfDuration ?? 600} s`)
      const found = await mlperf(target, options)
      runs.push(found.profiled)
      result = found.result
    } else {
      if (flags.find) search = await find(context, target, flags, base)
      const loads = search ? [openLoad(flags, search.rate)] : loadsOf(flags)
      for (const load of search?.rate === 0 ? [] : loads) runs.push(await one(context, target, load, base))
    }
  } finally {
    context.progress?.('')
  }
  const first = runs[0]
  // A stream of MLPerf is a closed loop by its rules.
  const wanted = (note: string): boolean => result === undefined || !note.startsWith('In a closed loop')
  const notes = [...new Set(runs.flatMap((run) => run.notes))].filter(wanted)
  if (search) notes.push(...searchNotes(search))
  if (result && !result.valid) notes.push('Not a valid MLPerf result: see its checks.')
  return {
    schema: PROFILE_SCHEMA,
    at,
    machine: machineFacts(),
    target: first?.target ?? unmeasured(target),
    seed: flags.seed,
    runs: runs.map(({ run }) => run),
    ...(search ? { search } : {}),
    ...(result ? { mlperf: result } : {}),
    notes,
  }
}

async function one(
  context: Context,
  target: Target,
  load: LoadPlan,
  base: Omit<ProfileOptions, 'load'>,
): Promise<Profiled> {
  const label = planText(load)
  const warmup = base.warmup === 'auto' ? 'until latency is steady' : `${base.warmup} s`
  context.err(`${label}: warming up ${warmup}, then measuring${base.seconds ? ` ${base.seconds} s` : ''}`)
  return measure(target, { ...base, load, onProgress: progressLine(context, label) })
}

function find(
  context: Context,
  target: Target,
  flags: BenchFlags,
  base: Omit<ProfileOptions, 'load'>,
): Promise<RateSearch> {
  const { percentile, share, limitUs } = flags.find as NonNullable<BenchFlags['find']>
  context.err(`looking for the highest rate with ${percentile} within ${limitUs / 1000} ms, ${flags.repeats} times`)
  return findRate({
    percentile,
    limitUs,
    from: flags.rate?.[0],
    repeats: flags.repeats,
    alone: () => trialAlone(target, { ...base, seconds: flags.duration ?? TRIAL_SECONDS }, share),
    trial: async (rate, number, repeat) => {
      const label = `${repeat} of ${flags.repeats}: ${rate}/s`
      const options = { ...base, seconds: flags.duration ?? TRIAL_SECONDS, onProgress: progressLine(context, label) }
      const trial = await trialAt(target, options, rate, share, number)
      context.progress?.('')
      const us = trial.us >= 3_600e6 ? 'not answered' : `${(trial.us / 1000).toFixed(2)} ms`
      context.err(`${label}: ${percentile} ${us}${trial.invalid === undefined ? '' : ` (${trial.invalid})`}`)
      return trial
    },
  })
}

function optionsOf(flags: BenchFlags): Omit<ProfileOptions, 'load'> {
  return {
    seconds: flags.duration ?? (flags.replay === undefined ? 5 : undefined),
    warmup: flags.warmup,
    warmupMaxSeconds: flags.warmupMax,
    seed: flags.seed,
    shapes: flags.shape,
    goodWithinUs: flags.goodWithin,
    lateBoundUs: flags.lateBound,
    lateAllowed: flags.lateAllowed / 100,
    timeoutMs: flags.timeout / 1000,
    connections: flags.connections,
    deadlineMs: flags.deadline === undefined ? undefined : flags.deadline / 1000,
  }
}

function loadsOf(flags: BenchFlags): LoadPlan[] {
  if (flags.ramp) return [{ kind: 'ramp', ...flags.ramp }]
  if (flags.replay !== undefined) return [{ kind: 'replay', file: flags.replay, speed: flags.speed }]
  if (flags.rate) return flags.rate.map((rate) => openLoad(flags, rate))
  return (flags.concurrency ?? [1, 64]).map((concurrency) => ({ kind: 'closed', concurrency }))
}

function openLoad({ arrivals, cv }: BenchFlags, rate: number): LoadPlan {
  return arrivals === 'gamma' ? { kind: 'gamma', rate, cv } : { kind: arrivals, rate }
}

function planText(load: LoadPlan): string {
  if (load.kind === 'replay') return `replay of ${load.file}`
  return loadText(load.kind === 'closed' ? load : { ...load, seed: 0 })
}

function progressLine(context: Context, label: string): (progress: Progress) => void {
  return ({ phase, seconds, sent, ended }) => {
    const open = sent - ended
    context.progress?.(`${label}: ${phase} ${seconds.toFixed(1)} s, ${sent} sent, ${open} open`)
  }
}

function searchNotes({ rate, low, high, steps }: RateSearch): string[] {
  const notes: string[] = []
  if (rate > 0 && high / low > 1.2) notes.push(`The searches do not agree well: ${low}/s to ${high}/s.`)
  if (steps.some((step) => step.why?.startsWith('the schedule'))) {
    notes.push(
      'Above some rate the generator could not keep its schedule: the true rate may be higher than the one found.',
    )
  }
  return notes
}

function unmeasured(target: Target): ProfileReport['target'] {
  if ('protocol' in target) return { kind: target.protocol, model: target.model, url: target.url }
  return { kind: 'in-process', model: target.name, version: target.version, engine: target.engine }
}
