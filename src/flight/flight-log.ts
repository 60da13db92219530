import type { NativeAddon, NativePort } from '../runtime/binding.js'
import { REASONS } from '../runtime/record.js'
import { inRootContext } from '../runtime/root-context.js'
import type { Stage } from '../runtime/stats.js'
import { type Attribution, attribute, stagesOf } from './attribute.js'
import { decodeHost, decodeSlow } from './decode.js'
import { gcPauses } from './gc-watch.js'
import type { RequestIds } from './request-ids.js'
import type { HostSeen, SlowRecord } from './timeline.js'
import type { Explanation } from './types.js'
import { sentence } from './words.js'

/** Explanations and ids that are kept. */
const MOST = 1024
/** So often the slowest of the last requests are explained, while what is known of their time is still there. */
const PERIOD_MS = 1000
const A_PERIOD = 16
/** What is seen of a pause comes later than the end of the request: a younger explanation may still change. */
const SETTLED_NS = 100e6

interface Ids {
  readonly id: string
  readonly mates: readonly string[]
}

export interface FlightModel {
  readonly name: string
  readonly version: string
  readonly attribution: Attribution
}

/** The slow requests of one model, explained. Native code keeps them; ids are known here only. */
export class FlightLog {
  readonly #native: Pick<NativePort, 'slowRequests'>
  readonly #hostWatch: NativeAddon['hostWatch']
  readonly #model: FlightModel
  readonly #requestIds: RequestIds
  readonly #ids = new Map<number, Ids>()
  readonly #explained = new Map<number, Explanation>()
  /** Up to which number ids were looked up, and requests were looked at by the timer. */
  #named = 0
  #looked = 0
  #timer: NodeJS.Timeout | undefined
  #closed = false

  constructor(
    native: Pick<NativePort, 'slowRequests'>,
    hostWatch: NativeAddon['hostWatch'],
    model: FlightModel,
    requestIds: RequestIds,
  ) {
    this.#native = native
    this.#hostWatch = hostWatch
    this.#model = model
    this.#requestIds = requestIds
  }

  /** Native code has kept more requests: what only this moment knows of them is written down. */
  onKept(): void {
    if (this.#requestIds.used) this.#name(decodeSlow(this.#native.slowRequests(this.#named)))
    if (this.#timer !== undefined || this.#closed) return
    inRootContext(() => {
      this.#timer = setTimeout(() => {
        this.#timer = undefined
        this.#lookAtSlowest()
      }, PERIOD_MS)
      this.#timer.unref()
    })
  }

  #name(records: readonly SlowRecord[]): void {
    for (const { sequence, slot, generation, mates } of records) {
      this.#named = Math.max(this.#named, sequence)
      const id = this.#requestIds.get(slot, generation)
      const others = mates.map((mate) => this.#requestIds.get(mate.slot, mate.generation)).filter((each) => each !== '')
      if (id !== '' || others.length > 0) keep(this.#ids, sequence, { id, mates: others })
    }
  }

  #lookAtSlowest(last = false): void {
    if (this.#closed) return
    const records = decodeSlow(this.#native.slowRequests(this.#looked))
    this.#looked = records.at(-1)?.sequence ?? this.#looked
    records.sort((a, b) => totalNs(b) - totalNs(a))
    this.#explain(records.slice(0, A_PERIOD), last)
  }

  /** Explains what is not explained yet; `last`: nothing more will be known of them. */
  #explain(records: readonly SlowRecord[], last = false): Map<number, Explanation> {
    const found = new Map<number, Explanation>()
    let host: HostSeen | undefined
    let now = 0
    for (const record of records) {
      let explanation = this.#explained.get(record.sequence)
      if (explanation === undefined) {
        if (host === undefined) {
          const seen = this.#hostWatch()
          now = seen.now
          host = { ...decodeHost(seen), pauses: gcPauses() }
        }
        explanation = explained(record, host, this.#model, this.#ids.get(record.sequence), now)
        if (last || now - record.resolved >= SETTLED_NS) keep(this.#explained, record.sequence, explanation)
      }
      found.set(record.sequence, explanation)
    }
    return found
  }

  #all(): Explanation[] {
    if (this.#closed) return [...this.#explained.values()]
    const records = decodeSlow(this.#native.slowRequests(0))
    this.#name(records.filter(({ sequence }) => sequence > this.#named))
    return [...new Map([...this.#explained, ...this.#explain(records)]).values()]
  }

  /** Slowest first. */
  slowRequests(): Explanation[] {
    return this.#all().sort((a, b) => b.totalMs - a.totalMs)
  }

  /** The last one with this id. */
  explain(id: string): Explanation | undefined {
    return id === '' ? undefined : this.#all().findLast((each) => each.id === id)
  }

  /** The model closes: what is explained, and the slowest of the last requests, stays. */
  close(): void {
    if (this.#closed) return
    clearTimeout(this.#timer)
    this.#lookAtSlowest(true)
    this.#closed = true
  }
}

/** Puts an entry in, and the oldest out where there are too many. */
function keep<T>(map: Map<number, T>, key: number, value: T): void {
  map.set(key, value)
  if (map.size <= MOST) return
  for (const oldest of map.keys()) {
    map.delete(oldest)
    return
  }
}

const totalNs = ({ submit, resolved }: SlowRecord): number => resolved - submit

/** One slow request in words; `now` is the monotonic clock. */
export function explained(
  record: SlowRecord,
  host: HostSeen,
  model: FlightModel,
  ids: Ids | undefined,
  now: number,
): Explanation {
  const totalMs = totalNs(record) / 1e6
  const causes = attribute(record, host, model.attribution)
  const stages: Partial<Record<Stage, number>> = { total: totalMs }
  for (const [stage, { start, end }] of stagesOf(record)) stages[stage] = (end - start) / 1e6
  const { batch } = record
  return {
    id: ids?.id ?? '',
    model: model.name,
    version: model.version,
    at: Date.now() - (now - record.submit) / 1e6,
    totalMs,
    outcome: record.outcome,
    stages,
    ...(batch && {
      batch: {
        number: batch.number,
        rows: batch.rows,
        requests: batch.requests,
        reason: REASONS[batch.reason] ?? 'idle',
        mates: ids?.mates ?? [],
      },
    }),
    causes,
    text: sentence(totalMs, causes),
  }
}
