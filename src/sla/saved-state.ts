import { NO_EVENTS, plus } from './budget.js'
import type { MeterState, ObjectiveMeter } from './objective-meter.js'
import { StateFile } from './state-file.js'
import type { Timeline } from './timeline.js'
import type { EventCounts } from './types.js'

/** Every so often what was counted is written; a kill loses at most that much, and what a record tells is that exact. */
export const FLUSH_MS = 5000

type Alerts = Pick<MeterState, 'firing' | 'broken'>

/** Events by the key of their objective, and when they were counted (timeline). */
interface Delta {
  readonly at: number
  readonly since: number
  readonly events: Readonly<Record<string, readonly [good: number, total: number, excluded: number]>>
  readonly alerts: Readonly<Record<string, Alerts>>
}

interface Saved {
  readonly at: number
  readonly since: number
  readonly objectives: Readonly<Record<string, MeterState>>
}

type File = StateFile<Saved, Delta>

/** What an opened state file says. */
export interface Restored {
  readonly file: File
  readonly snapshot: Saved | undefined
  readonly deltas: readonly Delta[]
  /** The latest moment that the file knows: the timeline goes on from there. */
  readonly notBefore: number
}

export async function openState(path: string, warn: (message: string) => void): Promise<Restored> {
  const { file, snapshot, deltas } = await StateFile.open<Saved, Delta>(path, { warn })
  const notBefore = deltas.reduce((latest, { at }) => Math.max(latest, at), snapshot?.at ?? Number.NEGATIVE_INFINITY)
  return { file, snapshot, deltas, notBefore }
}

/** Keeps what meters have counted in a state file. */
export class SavedState {
  /** Since when events are known, on the timeline. */
  readonly since: number
  readonly #file: File
  readonly #meters: ReadonlyMap<string, ObjectiveMeter>
  readonly #timeline: Timeline
  readonly #warn: (message: string) => void
  /** Objectives that the file knows and the contract does not, or no more: kept, since the contract may be put back. */
  readonly #others: Record<string, MeterState>
  #pending = new Map<string, EventCounts>()
  #lastAlerts = ''
  #flushed: number
  #failing = false
  #flushing: Promise<void> | undefined

  constructor(
    { file, snapshot, deltas }: Restored,
    meters: readonly ObjectiveMeter[],
    timeline: Timeline,
    warn: (message: string) => void,
  ) {
    this.#file = file
    this.#meters = new Map(meters.map((meter) => [meter.key, meter]))
    this.#timeline = timeline
    this.#warn = warn
    this.#flushed = timeline.now()
    this.since = snapshot?.since ?? deltas[0]?.since ?? timeline.now()
    this.#others = {}
    for (const [key, state] of Object.entries(snapshot?.objectives ?? {})) {
      const meter = this.#meters.get(key)
      if (meter === undefined) this.#others[key] = state
      else meter.restore(state)
    }
    for (const { at, events, alerts } of deltas) {
      for (const [key, [good, total, excluded]] of Object.entries(events)) {
        this.#meters.get(key)?.restoreEvents(at, { good, total, excluded })
      }
      for (const [key, { firing, broken }] of Object.entries(alerts)) {
        this.#meters.get(key)?.restoreAlerts(firing, broken)
      }
    }
  }

  count(key: string, events: EventCounts): void {
    if (events.total > 0 || events.excluded > 0)
      this.#pending.set(key, plus(this.#pending.get(key) ?? NO_EVENTS, events))
  }

  /** Writes when it is time to; never waits. */
  tick(now: number): void {
    if (now - this.#flushed >= FLUSH_MS) void this.flush()
  }

  /** Resolves when what was counted until now is on the disk, or could not be written, which is a warning. */
  flush(): Promise<void> {
    this.#flushing ??= this.#flush().finally(() => {
      this.#flushing = undefined
    })
    return this.#flushing
  }

  async close(): Promise<void> {
    await this.#flushing
    await this.flush()
    await this.#file.close()
  }

  async #flush(): Promise<void> {
    const at = this.#timeline.now()
    this.#flushed = at
    const alerts = Object.fromEntries([...this.#meters].map(([key, meter]) => [key, meter.alertState()]))
    const written = JSON.stringify(alerts)
    if (this.#pending.size === 0 && written === this.#lastAlerts) return
    const pending = this.#pending
    this.#pending = new Map()
    const events = Object.fromEntries(
      [...pending].map(([key, { good, total, excluded }]) => [key, [good, total, excluded] as const]),
    )
    try {
      await this.#file.append({ at, since: this.since, events, alerts: written === this.#lastAlerts ? {} : alerts })
      this.#lastAlerts = written
      this.#failing = false
    } catch (error) {
      // They go with the next record.
      for (const [key, counts] of this.#pending) pending.set(key, plus(pending.get(key) ?? NO_EVENTS, counts))
      this.#pending = pending
      this.#failed(error)
      return
    }
    if (this.#file.full) await this.#compact().catch((error: unknown) => this.#failed(error))
  }

  async #compact(): Promise<void> {
    // What is pending is part of the meters already, and must not be added once more by the next record.
    const pending = this.#pending
    this.#pending = new Map()
    const objectives = Object.fromEntries([...this.#meters].map(([key, meter]) => [key, meter.state()]))
    const saved = { at: this.#timeline.now(), since: this.since, objectives: { ...this.#others, ...objectives } }
    try {
      await this.#file.compact(saved)
    } catch (error) {
      for (const [key, counts] of this.#pending) pending.set(key, plus(pending.get(key) ?? NO_EVENTS, counts))
      this.#pending = pending
      throw error
    }
  }

  #failed(error: unknown): void {
    if (this.#failing) return
    this.#failing = true
    const why = error instanceof Error ? error.message : String(error)
    this.#warn(`SLA state ${this.#file.path} cannot be written: ${why}; it is tried again every ${FLUSH_MS / 1000} s`)
  }
}
