import { createHash } from 'node:crypto'
import { Alerts } from './alerts.js'
import { budgetLeft, burnRate, errorRatio, NO_EVENTS, plus } from './budget.js'
import { type Bucket, CountSeries, levelsFor } from './count-series.js'
import { publicObjective } from './public-objective.js'
import { SliceCounter } from './slices.js'
import type { Timeline } from './timeline.js'
import type { AlertState, EventCounts, Maintenance, Objective, ObjectiveStatus } from './types.js'
import { inMaintenance, longestOf, windowStart } from './windows.js'

/** With less than this share of its budget left an objective is at risk. */
const AT_RISK = 0.1

/** What the state file keeps of an objective. */
export interface MeterState {
  /** By width of the buckets, milliseconds. */
  readonly levels: readonly (readonly [widthMs: number, buckets: readonly Bucket[]])[]
  readonly firing: Readonly<Record<string, number>>
  readonly broken: boolean
}

/** What has changed at a tick. */
export type Change =
  | { readonly type: 'alert' | 'resolved'; readonly alert: AlertState }
  | { readonly type: 'broken' | 'met' }

/** Counts the events of one objective and tells how it stands. */
export class ObjectiveMeter {
  readonly objective: Objective
  /** Names the objective and what it counts: of a threshold that was changed the old events say nothing. */
  readonly key: string
  readonly #shown: Objective
  readonly #timeline: Timeline
  readonly #maintenance: readonly Maintenance[]
  readonly #series: CountSeries
  readonly #alerts: Alerts
  readonly #slices: SliceCounter | undefined
  #counted = NO_EVENTS
  #broken = false

  constructor(objective: Objective, maintenance: readonly Maintenance[], timeline: Timeline) {
    this.objective = objective
    this.#shown = publicObjective(objective)
    const { indicator, slices } = objective
    const sorted = Object.entries(indicator).sort(([a], [b]) => (a < b ? -1 : 1))
    const facts = JSON.stringify(slices ? [...sorted, ['slices', slices.ms, slices.target]] : sorted)
    this.#slices = slices && new SliceCounter(slices)
    this.key = `${objective.name}#${createHash('sha256').update(facts).digest('hex').slice(0, 12)}`
    this.#timeline = timeline
    this.#maintenance = maintenance
    const windows = objective.alerts.flatMap(({ conditions }) => conditions.flatMap((c) => [c.longMs, c.shortMs]))
    this.#series = new CountSeries(levelsFor(Math.max(longestOf(objective.window), ...windows)))
    this.#alerts = new Alerts(objective.alerts)
  }

  /** Events since measuring began in this process. */
  get counted(): EventCounts {
    return this.#counted
  }

  /**
   * Counts events that ended between the last tick and `at` (timeline). Returns what was counted: they, or the slice that
   * ended meanwhile. Slices end only when this is called, with no events too.
   */
  count(at: number, events: EventCounts): EventCounts {
    const away = inMaintenance(this.#maintenance, this.objective.service, this.#timeline.wall(at))
    const known = away ? { good: 0, total: 0, excluded: events.total + events.excluded } : events
    const counted = this.#slices ? this.#slices.add(at, known) : known
    if (counted.total === 0 && counted.excluded === 0) return counted
    this.#series.add(at, counted)
    this.#counted = plus(this.#counted, counted)
    return counted
  }

  /** Moves alerts and the state to `now`; returns what has changed, in the order to tell it. */
  tick(now: number): Change[] {
    const { target, minimumEvents } = this.objective
    const source = { target, minimumEvents, events: (ms: number) => this.#series.sum(now - ms, now) }
    const changes: Change[] = this.#alerts
      .update(source, this.#timeline.wall(now))
      .map((alert) => ({ type: alert.firing ? 'alert' : 'resolved', alert }))
    const broken = this.#isBroken(this.#events(now))
    if (broken !== this.#broken) changes.push({ type: broken ? 'broken' : 'met' })
    this.#broken = broken
    return changes
  }

  status(now: number): ObjectiveStatus {
    const { objective } = this
    const { target, minimumEvents } = objective
    const enough = ({ total }: EventCounts): boolean => total >= Math.max(1, minimumEvents)
    const last = (ms: number): EventCounts => this.#series.sum(now - ms, now)
    const events = this.#events(now)
    const alerts = this.#alerts.states({ target, minimumEvents, events: last })
    const burn: Record<string, number> = {}
    for (const ms of new Set(alerts.flatMap(({ longMs, shortMs }) => [longMs, shortMs]))) {
      if (enough(last(ms))) burn[ms] = burnRate(last(ms), target)
    }
    const status = { objective: this.#shown, events, burn, alerts, counted: this.#counted }
    if (!enough(events)) return { ...status, state: 'too-few' }
    const left = budgetLeft(events, target)
    const state = left < 0 ? 'broken' : left < AT_RISK || alerts.some(({ firing }) => firing) ? 'at-risk' : 'met'
    return { ...status, compliance: 1 - errorRatio(events), budgetLeft: left, state }
  }

  /** Good and total events over the objective's window, oldest first, but nothing from before `since`. */
  history(since: number, now: number, parts: number): { at: number; good: number; total: number }[] {
    const wall = (at: number): number => this.#timeline.wall(at)
    const start = this.#start(now)
    // Nothing was before `since`: the bucket that it is in has only what came after.
    const all = this.#series.parts(Math.max(since, start), now, parts, since > start)
    return all.map((part) => ({ ...part, at: wall(part.at) }))
  }

  state(): MeterState {
    const levels = this.#series.levels.map(({ widthMs }, i) => [widthMs, this.#series.buckets(i)] as const)
    return { levels, ...this.alertState() }
  }

  alertState(): Pick<MeterState, 'firing' | 'broken'> {
    return { firing: this.#alerts.firing(), broken: this.#broken }
  }

  /** Takes up what {@link state} gave. A level that is new gets the events of the one with the nearest width. */
  restore({ levels, firing, broken }: MeterState): void {
    const distance = (width: number, wanted: number): number => Math.abs(Math.log(width / wanted))
    for (const [i, { widthMs }] of this.#series.levels.entries()) {
      const [nearest] = [...levels].sort(([a], [b]) => distance(a, widthMs) - distance(b, widthMs))
      for (const [number, ...counts] of nearest?.[1] ?? []) {
        this.#series.addBucket(i, [Math.floor((number * (nearest?.[0] as number)) / widthMs), ...counts])
      }
    }
    this.restoreAlerts(firing, broken)
  }

  restoreAlerts(firing: Readonly<Record<string, number>>, broken: boolean): void {
    this.#alerts.restore(firing)
    this.#broken = broken
  }

  /** Events of the state file, which were counted before this process. */
  restoreEvents(at: number, events: EventCounts): void {
    this.#series.add(at, events)
  }

  #isBroken(events: EventCounts): boolean {
    const { target, minimumEvents } = this.objective
    return events.total >= Math.max(1, minimumEvents) && budgetLeft(events, target) < 0
  }

  #events(now: number): EventCounts {
    return this.#series.sum(this.#start(now), now)
  }

  /** When the objective's window began, on the timeline. */
  #start(now: number): number {
    const { window } = this.objective
    if (window.kind === 'rolling') return now - window.ms
    return this.#timeline.at(windowStart(window, this.#timeline.wall(now)))
  }
}
