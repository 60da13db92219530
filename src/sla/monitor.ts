import { SubtenError } from '../runtime/errors.js'
import { measuredOf } from '../runtime/measured.js'
import type { Model, ModelSla } from '../runtime/types.js'
import { NO_EVENTS } from './budget.js'
import { publish, slaEvent, Webhooks } from './notify.js'
import { ObjectiveMeter } from './objective-meter.js'
import { openState, SavedState } from './saved-state.js'
import { addTallies, EdgeTally, EngineTally, eventsOf, NO_TALLY, type Tally } from './tally.js'
import { everySecond } from './ticker.js'
import { type Clock, SYSTEM_CLOCK, Timeline } from './timeline.js'
import type { Contract, EventCounts, Objective, ObjectiveStatus, Point, SlaEvent, SlaStatus } from './types.js'
import type { WebhookCounts, WebhookOptions } from './webhook.js'

export interface MonitorOptions {
  /** Where what was counted survives a restart; nowhere by default. */
  readonly stateFile?: string | undefined
  readonly clock?: Clock
  /** False: only {@link SlaMonitor.tick} looks. */
  readonly ticking?: boolean
  readonly webhooks?: WebhookOptions
  readonly warn?: (message: string) => void
}

/** Events that the application, or a client, measured. */
export interface Reported {
  /** Name of an objective; or a kind of indicator, for every objective of that kind. */
  readonly objective: string
  /** Of this model alone. */
  readonly model?: string | undefined
  readonly good: number
  readonly total: number
  readonly excluded?: number
}

/** A model that is measured. Held weakly: measuring keeps no model alive that nobody else knows. */
interface Attached {
  readonly name: string
  readonly model: WeakRef<Model>
  readonly engine: EngineTally
}

/** Measures models against a contract, for one environment: counts, budgets, alerts, events. */
export class SlaMonitor {
  readonly contract: Contract
  readonly #timeline: Timeline
  readonly #meters: readonly ObjectiveMeter[]
  readonly #saved: SavedState | undefined
  readonly #since: number
  readonly #webhooks: Webhooks
  readonly #attached = new Set<Attached>()
  readonly #edges = new Map<string, EdgeTally>()
  /** What models had counted when they closed, until the next tick. */
  readonly #left = new Map<string, Tally>()
  readonly #listeners = new Set<(event: SlaEvent) => void>()
  readonly #stop: () => void
  #last: number
  #closed: Promise<void> | undefined

  private constructor(
    contract: Contract,
    timeline: Timeline,
    saved: SavedState | undefined,
    meters: readonly ObjectiveMeter[],
    options: MonitorOptions,
  ) {
    this.contract = contract
    this.#timeline = timeline
    this.#meters = meters
    this.#saved = saved
    this.#last = timeline.now()
    this.#since = saved?.since ?? this.#last
    this.#webhooks = new Webhooks(contract.objectives, {
      ...(options.warn && { warn: options.warn }),
      ...options.webhooks,
    })
    this.#stop = options.ticking === false ? () => {} : everySecond(() => this.tick())
  }

  /** @throws SubtenError CONFIG_INVALID when the state file is in use or cannot be opened */
  static async open(contract: Contract, options: MonitorOptions = {}): Promise<SlaMonitor> {
    const { clock = SYSTEM_CLOCK, stateFile } = options
    const warn = options.warn ?? ((message: string) => process.emitWarning(message, { code: 'SUBTEN_SLA_STATE' }))
    const restored = stateFile === undefined ? undefined : await openState(stateFile, warn)
    const timeline = new Timeline(clock, restored?.notBefore)
    const meters = contract.objectives.map((each) => new ObjectiveMeter(each, contract.maintenance, timeline))
    const saved = restored && new SavedState(restored, meters, timeline, warn)
    return new SlaMonitor(contract, timeline, saved, meters, options)
  }

  /**
   * Measures the model from now on, until it closes. Objectives that are enforced give it their deadline.
   *
   * @param onClose the model waits for it before it is closed
   */
  attach(model: Model, onClose?: () => Promise<void>): void {
    const measured = measuredOf(model)
    if (measured === undefined) return
    const held = new WeakRef(model)
    const read = (us: readonly number[]): ReturnType<typeof measured.totals> => {
      const there = held.deref()
      return there && measuredOf(there)?.totals(us)
    }
    const name = model.name
    const entry: Attached = { name, model: held, engine: new EngineTally(this.#thresholds(name, 'engine'), read) }
    this.#attached.add(entry)
    measured.bind({
      sla: this.#slaOf(name),
      deadlineMs: this.#deadline(name),
      onClose: () => {
        if (this.#attached.delete(entry)) this.#keep(name, entry.engine.take())
        return onClose?.()
      },
    })
  }

  /** Whether any model is measured that has not closed. */
  get attached(): boolean {
    for (const entry of this.#attached) if (entry.model.deref() === undefined) this.#attached.delete(entry)
    return this.#attached.size > 0
  }

  /** Where a front end counts its requests for a model; undefined where no objective asks for it. */
  edge(model: string): EdgeTally | undefined {
    return this.#edges.get(model)
  }

  /** From here on a front end counts: objectives at the edge are measured. */
  watchEdge(): void {
    for (const { objective } of this.#meters) {
      const { indicator } = objective
      if (pointOf(objective) !== 'edge' || this.#edges.has(indicator.model)) continue
      this.#edges.set(indicator.model, new EdgeTally(this.#thresholds(indicator.model, 'edge')))
    }
  }

  /**
   * Counts events that the application, or a client, measured; see `ModelSla.record`. All of them, or none when one is
   * wrong.
   */
  record(reports: readonly Reported[]): void {
    const counted = reports.map((report) => [this.#reported(report), checked(report)] as const)
    const now = this.#timeline.now()
    for (const [meters, events] of counted) for (const meter of meters) this.#count(meter, now, events)
  }

  /** The objectives that a report is about. */
  #reported({ objective: name, model }: Reported): ObjectiveMeter[] {
    const about = this.#meters.filter(({ objective: { indicator } }) => (model ?? indicator.model) === indicator.model)
    const named = about.filter(({ objective }) => objective.name === name)
    const found = named.length > 0 ? named : about.filter(({ objective }) => objective.indicator.kind === name)
    const reported = found.filter(({ objective }) => pointOf(objective) === 'client')
    if (reported.length > 0) return reported
    const known = about.flatMap(({ objective }) => (pointOf(objective) === 'client' ? [objective.name] : []))
    const problem = found.length > 0 ? 'is measured by subten itself' : 'is no objective of the contract'
    const where = model === undefined ? '' : ` for model ${JSON.stringify(model)}`
    throw new SubtenError('INVALID_INPUT', `${JSON.stringify(name)} ${problem}${where}`, {
      remedy:
        known.length > 0
          ? `Objectives that are reported: ${known.join(', ')}.`
          : 'The contract has no objective of accuracy, of freshness or measured at the client.',
    })
  }

  /** Counts what ended since the last look, moves alerts, and tells of what changed. */
  tick(): void {
    const now = this.#timeline.now()
    const seconds = (now - this.#last) / 1000
    this.#last = now
    const tallies = new Map<string, Tally>()
    const add = (key: string, tally: Tally): unknown =>
      tallies.set(key, addTallies(tallies.get(key) ?? NO_TALLY, tally))
    for (const entry of this.#attached) {
      // Nobody has the model any more: it was dropped without close(), and what it counted since the last tick with it.
      if (entry.model.deref() === undefined) this.#attached.delete(entry)
      else add(`engine ${entry.name}`, entry.engine.take())
    }
    for (const [name, tally] of this.#left) add(`engine ${name}`, tally)
    this.#left.clear()
    for (const [name, edge] of this.#edges) add(`edge ${name}`, edge.take())
    for (const meter of this.#meters) {
      const { indicator } = meter.objective
      const tally = tallies.get(`${pointOf(meter.objective)} ${indicator.model}`)
      if (tally !== undefined) this.#count(meter, now, eventsOf(indicator, tally, seconds))
      else if (meter.objective.slices) this.#count(meter, now, NO_EVENTS)
    }
    for (const meter of this.#meters)
      for (const change of meter.tick(now))
        this.#tell(slaEvent(meter.objective, change, this.#statusOf(meter, now), this.#timeline.wall(now)))
    this.#saved?.tick(now)
  }

  /** How the objectives stood at the last tick: all, or those about one model. */
  status(model?: string): SlaStatus {
    const now = this.#timeline.now()
    const wanted = this.#meters.filter(({ objective }) => model === undefined || objective.indicator.model === model)
    return {
      at: this.#timeline.wall(now),
      since: this.#timeline.wall(this.#since),
      objectives: wanted.map((meter) => this.#statusOf(meter, now)),
    }
  }

  /** Good and total events of an objective over its window, from when events are known. */
  history(objective: string, parts: number): { at: number; good: number; total: number }[] {
    const meter = this.#meters.find((each) => each.objective.name === objective)
    return meter?.history(this.#since, this.#timeline.now(), parts) ?? []
  }

  /** Models of this environment that are measured. */
  models(): Model[] {
    return [...this.#attached].flatMap(({ model }) => model.deref() ?? [])
  }

  onEvent(listener: (event: SlaEvent) => void): void {
    this.#listeners.add(listener)
  }

  get webhooks(): readonly (WebhookCounts & { readonly target: string })[] {
    return this.#webhooks.counts
  }

  /** Counts for the last time and writes the state. `waitMs`: how long webhooks under way are waited for. */
  close(waitMs = 0): Promise<void> {
    this.#closed ??= this.#close(waitMs)
    return this.#closed
  }

  async #close(waitMs: number): Promise<void> {
    this.tick()
    this.#stop()
    this.#attached.clear()
    await Promise.all([this.#webhooks.close(waitMs), this.#saved?.close()])
  }

  #count(meter: ObjectiveMeter, at: number, events: EventCounts): void {
    if (events.total === 0 && events.excluded === 0 && !meter.objective.slices) return
    const counted = meter.count(at, events)
    this.#saved?.count(meter.key, counted)
  }

  #keep(model: string, tally: Tally): void {
    this.#left.set(model, addTallies(this.#left.get(model) ?? NO_TALLY, tally))
  }

  #tell(event: SlaEvent): void {
    for (const { name, model } of this.#attached) {
      const there = name === event.model ? model.deref() : undefined
      if (there) measuredOf(there)?.emit(event)
    }
    publish(event)
    this.#webhooks.send(event)
    for (const listener of this.#listeners) listener(event)
  }

  #statusOf(meter: ObjectiveMeter, now: number): ObjectiveStatus {
    const notMeasured = this.#notMeasured(meter)
    const status = meter.status(now)
    return notMeasured === undefined ? status : { ...status, notMeasured }
  }

  #notMeasured({ objective, counted }: ObjectiveMeter): string | undefined {
    const { model } = objective.indicator
    const point = pointOf(objective)
    if (point === 'client') return counted.total + counted.excluded > 0 ? undefined : 'nothing has been reported'
    const loaded = [...this.#attached].filter((each) => each.name === model)
    if (loaded.length === 0) return `model '${model}' is not loaded`
    if (point === 'edge') return this.#edges.has(model) ? undefined : 'no server of this process measures at the edge'
    return loaded.some(({ engine }) => engine.counts) ? undefined : `model '${model}' has no engine that counts`
  }

  #slaOf(model: string): ModelSla {
    return {
      status: () => this.status(model),
      record: (objective, counts) => this.record([{ ...counts, objective, model }]),
    }
  }

  #thresholds(model: string, point: Point): number[] {
    const wanted = new Set<number>()
    for (const { objective } of this.#meters) {
      const { indicator } = objective
      if (indicator.model !== model || pointOf(objective) !== point) continue
      if (indicator.kind === 'latency' || indicator.kind === 'goodput') wanted.add(indicator.thresholdUs)
    }
    return [...wanted]
  }

  /** The shortest threshold that is enforced, milliseconds; -1 when none is. */
  #deadline(model: string): number {
    const enforced = this.contract.objectives.flatMap(({ enforce, indicator }) =>
      enforce && indicator.kind === 'latency' && indicator.model === model ? [indicator.thresholdUs / 1000] : [],
    )
    return enforced.length === 0 ? -1 : Math.min(...enforced)
  }
}

/** Accuracy and freshness are reported as what a client saw is. */
function pointOf({ indicator }: Objective): Point {
  return 'point' in indicator ? indicator.point : 'client'
}

function checked({ good, total, excluded = 0 }: Reported): EventCounts {
  const whole = [good, total, excluded].every((count) => Number.isSafeInteger(count) && count >= 0)
  if (whole && good <= total) return { good, total, excluded }
  const needs = '{ good, total, excluded? } with good <= total'
  throw new SubtenError('INVALID_INPUT', `reported events must be whole numbers from 0, ${needs}`, {
    remedy: 'Report for example { good: 98, total: 100 }.',
  })
}
