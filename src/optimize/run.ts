import { createHash } from 'node:crypto'
import { join, resolve } from 'node:path'
import { SubtenError } from '../runtime/errors.js'
import type { LoadOptions } from '../runtime/types.js'
import { loadOptionsOf, simplerFirst } from './candidate.js'
import { givenSettings } from './config-file.js'
import { expectedSeconds, halve, OVERHEAD_SECONDS, type Rung, rungsOf, secondsFor } from './halving.js'
import { Journal, type JournalKey } from './journal.js'
import type { ChildRequest } from './measure-child.js'
import { ChildFailure } from './measure-process.js'
import type { OptimizeOptions, OptimizeWorld } from './options.js'
import { judgeAccuracy } from './recommend.js'
import { type ReportParts, reportOf } from './report.js'
import { type Space, type SpaceModel, spaceOf } from './space.js'
import type {
  AccuracyFigures,
  Candidate,
  Figures,
  OptimizeReport,
  TrialFigures,
  VariantVerdict,
  Verified,
} from './types.js'
import { type FoundModel, findVariants } from './variants.js'

/** The engines of a model that is not asked for any: its own. ONNX models can also be run by Triton. */
const ONNX_ENGINES = ['onnxruntime', 'triton'] as const
/** A setting is verified a tenth below its capacity: at the capacity itself p99 is the limit, so half of the runs miss it. */
const HEADROOM = 0.9
/** Seconds of the accuracy of one variant, for the time that is left; nobody knows before. */
const ACCURACY_SECONDS = 10

/** What the accuracy of one model says where it has no labels, or no classes. */
const NOTHING_TO_SAY = /has no labels|no output that holds scores/

/** A finished search, and what its files are made of. */
export interface Optimized {
  readonly report: OptimizeReport
  /** The model that the recommendation is for. */
  readonly recommended?: FoundModel
}

/**
 * Looks for the setting of a model, or of a variant of it, that serves the most requests a second within a contract.
 *
 * @throws SubtenError as `load` does for models and data; CONFIG_INVALID for a state folder of another run with `resume`,
 *   or where nothing can be measured; the reason of `world.signal`
 */
export async function optimize(options: OptimizeOptions, world: OptimizeWorld): Promise<Optimized> {
  const models = await findVariants(options.model, options.variants)
  const [base] = models
  const looked = await lookAt(models, options, world)
  const { data } = looked
  const space = spaceOf(looked.models, { ...options, cpus: world.machine.cpus })
  if (space.candidates.length === 0) {
    const why = [...space.leftOut, ...looked.leftOut].map(({ what, why: reason }) => `${what}: ${reason}`).join('; ')
    throw new SubtenError('CONFIG_INVALID', `there is no setting to measure: ${why || 'the lists leave none'}`, {
      remedy: 'Give other --batch, --delay, --instances, --threads or --engine.',
    })
  }
  const journal = await openJournal(models, space, data, options, world)
  try {
    const search = new Search(options, world, models, journal)
    const verdicts = await search.judge(space.candidates, data)
    const { halved, rungs, gridSeconds } = await search.halve(space.candidates, verdicts)
    const parts: ReportParts = {
      options,
      world,
      base: base.name,
      ...(data === undefined ? {} : { data }),
      verdicts,
      halved,
      rungs,
      gridSeconds,
      leftOut: [...looked.leftOut, ...space.leftOut],
      spentSeconds: search.spentSeconds,
      resumed: search.resumed,
    }
    const report = await reportOf(parts, (one, capacity) => search.verify(one, options.rate ?? HEADROOM * capacity))
    const name = report.recommendation?.candidate.variant
    const recommended = models.find((model) => model.name === name)
    return { report, ...(recommended === undefined ? {} : { recommended }) }
  } finally {
    await journal.close()
  }
}

interface Looked {
  readonly models: readonly SpaceModel[]
  readonly leftOut: readonly { readonly what: string; readonly why: string }[]
  readonly data?: NonNullable<OptimizeReport['data']>
}

/** Loads each model once, to see that it loads and what it takes. */
async function lookAt(models: readonly FoundModel[], options: OptimizeOptions, world: OptimizeWorld): Promise<Looked> {
  const found: SpaceModel[] = []
  const leftOut: { what: string; why: string }[] = []
  let data: Looked['data']
  for (const { path, name, located } of models) {
    const own = located.engine.engine
    const model = await world.load(path, {})
    try {
      if (data === undefined && options.data !== undefined) {
        const { count, labels, sha256 } = await world.openData(options.data, model)
        data = { path: options.data, rows: count, labelled: labels !== undefined, sha256 }
      }
      const possible: readonly string[] = own === 'onnxruntime' ? ONNX_ENGINES : [own]
      const asked = options.engines ?? [own]
      const engines = asked.filter((engine) => {
        const why = !possible.includes(engine)
          ? `the model's backend runs on ${possible.join(' or ')}`
          : engine === 'null' || world.engines.has(engine)
            ? undefined
            : 'this engine is not there: see `subten doctor`'
        if (why !== undefined) leftOut.push({ what: `${name} on ${engine}`, why })
        return why === undefined
      })
      found.push({
        name,
        maxBatchSize: model.maxBatchSize,
        engines: engines.map((engine) => ({ name: engine, threads: engine !== 'null' && own === 'onnxruntime' })),
        ...(own === 'triton' ? { noDeadlines: "Triton's scheduler may order the requests of this model itself" } : {}),
      })
    } finally {
      await model.close()
    }
  }
  return { models: found, leftOut, ...(data === undefined ? {} : { data }) }
}

async function openJournal(
  models: readonly FoundModel[],
  space: Space,
  data: Looked['data'],
  options: OptimizeOptions,
  world: OptimizeWorld,
): Promise<Journal> {
  const { limitUs, accuracyDrop, budgetSeconds, seconds, repeats, seed, rate, shapes } = options
  const key: JournalKey = {
    models: hashOf(models.map(({ name, sha256 }) => [name, sha256])),
    space: hashOf(space.candidates.map(({ id }) => id)),
    options: hashOf([limitUs, accuracyDrop, budgetSeconds, seconds, repeats, seed, rate, shapes, data?.sha256]),
    machine: hashOf(world.machine),
  }
  if (options.resume) {
    const { changed, entries } = await Journal.look(options.state, key)
    if (changed.length > 0 || entries === 0) {
      const why = entries === 0 && changed.length === 0 ? 'there is none' : `${changed.map(changeText).join(', ')}`
      throw new SubtenError('CONFIG_INVALID', `there is no search in ${options.state} to go on with: ${why}`, {
        remedy: 'Leave --resume out to begin a new one.',
      })
    }
  }
  const journal = await Journal.open(options.state, key, options.fresh)
  const { entries, changed } = journal.found
  if (changed.length > 0) {
    world.say(
      `beginning anew, since ${changed.map(changeText).join(' and ')}; the journal of before is kept in ${options.state}`,
    )
  } else if (entries > 0) {
    world.say(`going on with the search in ${options.state}: ${counted(entries, 'measurement')} of before`)
  }
  return journal
}

const CHANGES: Readonly<Record<string, string>> = {
  models: 'a model changed',
  space: 'the settings to measure are others',
  options: 'the options are others',
  machine: 'the machine, or the version of subten or Node.js, is another',
}
const changeText = (part: string): string => CHANGES[part] ?? `${part} changed`

const hashOf = (value: unknown): string => createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 24)

/** The measurements of one search: each asked of a process, or of the journal. */
class Search {
  readonly #options: OptimizeOptions
  readonly #world: OptimizeWorld
  readonly #models: readonly FoundModel[]
  readonly #journal: Journal
  spentSeconds = 0
  /** Measurements that the journal had. */
  resumed = 0
  #done = 0
  #expected = 0

  constructor(options: OptimizeOptions, world: OptimizeWorld, models: readonly FoundModel[], journal: Journal) {
    this.#options = options
    this.#world = world
    this.#models = models
    this.#journal = journal
  }

  /** Accuracy of each variant on each engine, and what it allows. */
  async judge(candidates: readonly Candidate[], data: Looked['data']): Promise<VariantVerdict[]> {
    const { accuracyDrop } = this.#options
    const [base] = this.#models as readonly [FoundModel]
    const pairs = [...new Map(candidates.map((one) => [`${one.variant} ${one.engine}`, one])).values()]
    this.#expected = data === undefined ? 0 : ACCURACY_SECONDS * pairs.length
    const verdicts: VariantVerdict[] = []
    for (const { variant, engine } of pairs) {
      const model = this.#model(variant)
      const isBase = model === base
      // On another engine the model itself is one that can differ from what it is on its own.
      const asIs = isBase && engine === base.located.engine.engine
      const accuracy = data === undefined ? undefined : await this.#accuracy(model, engine, asIs ? undefined : base)
      const judged = isBase && (asIs || accuracy === undefined) ? {} : judgeAccuracy(accuracy, accuracyDrop)
      verdicts.push({
        variant,
        engine,
        base: isBase,
        precision: model.precision,
        ...(accuracy === undefined ? {} : { accuracy }),
        ...judged,
        bytes: model.bytes,
      })
      if (judged.refused !== undefined) this.#world.say(`${variant} on ${engine}: ${judged.refused}`)
    }
    return verdicts
  }

  async #accuracy(
    model: FoundModel,
    engine: string,
    against: FoundModel | undefined,
  ): Promise<AccuracyFigures | undefined> {
    const { data } = this.#options
    if (data === undefined) return undefined
    const request: ChildRequest & { kind: 'accuracy' } = {
      kind: 'accuracy',
      model: { path: resolve(model.path), options: { engine: engine as NonNullable<LoadOptions['engine']> } },
      ...(against === undefined ? {} : { against: { path: resolve(against.path), options: {} } }),
      data: resolve(data),
    }
    try {
      const what = `accuracy of ${model.name} on ${engine}`
      return await this.#once(`accuracy ${model.name} ${engine}`, what, ACCURACY_SECONDS, () =>
        this.#world.ask(request, 600),
      )
    } catch (error) {
      if (!(error instanceof ChildFailure)) throw error
      // Data without labels say nothing of one model alone.
      if (against === undefined && NOTHING_TO_SAY.test(error.message)) return undefined
      throw new SubtenError('ENGINE_FAILED', `the accuracy of ${model.name} cannot be measured: ${error.message}`)
    }
  }

  async halve(candidates: readonly Candidate[], verdicts: readonly VariantVerdict[]) {
    const { repeats, seed, budgetSeconds } = this.#options
    const refusedOf = (one: Candidate): string | undefined =>
      verdicts.find(({ variant, engine }) => variant === one.variant && engine === one.engine)?.refused
    const shown = new Set<string>()
    const [base] = this.#models as readonly [FoundModel]
    // A variant that may not be recommended is measured once at its simplest, so that the report can show it.
    const kept = [...candidates].sort(simplerFirst(base.name)).filter((one) => {
      if (refusedOf(one) === undefined) return true
      const pair = `${one.variant} ${one.engine}`
      return shown.has(pair) ? false : shown.add(pair)
    })
    const able = kept.filter((one) => refusedOf(one) === undefined)
    const kindOf = ({ variant, batching }: Candidate): string => `${variant} ${batching.kind === 'off' ? 'off' : 'on'}`
    const kinds = new Set(able.map(kindOf)).size
    const seconds = this.#options.seconds ?? secondsFor(budgetSeconds, kept.length, repeats, kinds)
    const rungs = rungsOf({ candidates: kept.length, repeats, seconds })
    const expected = expectedSeconds(rungs, kept.length, kinds) + repeats * (seconds + OVERHEAD_SECONDS)
    this.#expected += expected
    this.#world.say(
      `${counted(kept.length, 'setting')} in ${counted(rungs.length, 'stage')}, about ${minutes(expected)}${expected > 1.15 * budgetSeconds && this.#options.seconds === undefined ? `: measurements that say anything take more than the budget of ${minutes(budgetSeconds)}` : ''}`,
    )
    const halved = await halve(kept, rungs, {
      seed,
      kindOf,
      showOnly: (one) => {
        const refused = refusedOf(one)
        return refused === undefined ? undefined : `its accuracy: ${refused}`
      },
      measure: (one, budget) => this.#measure(one, budget, rungs),
    })
    return { halved, rungs, gridSeconds: candidates.length * repeats * (seconds + OVERHEAD_SECONDS) }
  }

  #measure(
    one: Candidate,
    budget: Parameters<Parameters<typeof halve>[2]['measure']>[1],
    rungs: readonly Rung[],
  ): Promise<Figures> {
    const { limitUs, seed, rate, shapes } = this.#options
    const stage = `stage ${budget.rung + 1} of ${rungs.length}${budget.rung === rungs.length - 1 ? `, repeat ${budget.repeat + 1}` : ''}`
    return this.#once(
      `${one.id} / ${budget.rung} / ${budget.repeat}`,
      `${stage}: ${one.id}`,
      budget.seconds + OVERHEAD_SECONDS,
      async () => {
        try {
          const request = {
            kind: 'capacity',
            model: this.#toLoad(one),
            limitUs,
            seed,
            shapes,
            budget,
            ...(rate === undefined ? {} : { rate }),
          } as const
          return await this.#world.ask(request, 5 * budget.seconds)
        } catch (error) {
          if (!(error instanceof ChildFailure)) throw error
          return { capacity: 0, failed: error.message, trials: [], aloneUs: 0, peakRssMb: 0, seconds: 0 }
        }
      },
    )
  }

  /** Runs a setting at one rate, in processes of their own. */
  async verify(one: Candidate, rate: number): Promise<Verified> {
    const { limitUs, seed, repeats, shapes } = this.#options
    const rounded = rate >= 20 ? Math.floor(rate) : Number(rate.toPrecision(2))
    const seconds = Math.min(30, Math.max(this.#options.seconds ?? 3, 1000 / rounded))
    const runs: TrialFigures[] = []
    for (let repeat = 0; repeat < repeats; repeat++) {
      const request = {
        kind: 'rate',
        model: this.#toLoad(one),
        limitUs,
        seed,
        shapes,
        rate: rounded,
        seconds,
        use: 5000 + repeat,
      } as const
      const what = `verifying ${one.id} at ${rounded}/s, ${repeat + 1} of ${repeats}`
      try {
        runs.push(
          await this.#once(`verify ${one.id} ${rounded} ${repeat}`, what, seconds + OVERHEAD_SECONDS, () =>
            this.#world.ask(request, seconds),
          ),
        )
      } catch (error) {
        if (!(error instanceof ChildFailure)) throw error
        this.#world.say(`verifying ${one.id} failed: ${error.message}`)
      }
    }
    return { rate: rounded, runs, kept: runs.filter(({ p99Us }) => p99Us <= limitUs).length }
  }

  async #once<T extends object>(name: string, what: string, expected: number, make: () => Promise<T>): Promise<T> {
    if (this.#journal.has(name)) this.resumed++
    const report = (): void =>
      this.#world.progress?.({
        what,
        doneSeconds: this.#done,
        allSeconds: Math.max(this.#expected, this.#done + expected),
      })
    report()
    const began = performance.now()
    const { value, tookSeconds } = await this.#journal.once(name, async () => {
      const made = await make()
      return { value: made, tookSeconds: (performance.now() - began) / 1000 }
    })
    this.spentSeconds += tookSeconds
    this.#done += expected
    this.#world.signal?.throwIfAborted()
    return value
  }

  #model(name: string): FoundModel {
    return this.#models.find((model) => model.name === name) as FoundModel
  }

  #toLoad(one: Candidate): { path: string; options: LoadOptions } {
    const { path, located } = this.#model(one.variant)
    const options = loadOptionsOf(one, this.#options.limitUs, givenSettings(located.document))
    // What deadline-aware batching learned belongs to this search, not to the user's cache.
    return { path: resolve(path), options: { ...options, latencyCache: join(resolve(this.#options.state), 'latency') } }
  }
}

const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`
const minutes = (seconds: number): string =>
  seconds < 90 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 60)} min`
