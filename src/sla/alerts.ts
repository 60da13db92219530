import { burnRate } from './budget.js'
import type { AlertPolicy, AlertState, BurnCondition, EventCounts } from './types.js'

/** What alerts of one objective need to know of it. */
export interface BurnSource {
  readonly target: number
  readonly minimumEvents: number
  /** Events of the last `ms` milliseconds. */
  events(ms: number): EventCounts
}

/** Names a condition of a policy within an objective, for the state file. */
export function alertKey(
  policy: string,
  { severity, burnRate: rate, longMs, shortMs, afterMs }: BurnCondition,
): string {
  return `${policy}/${severity}/${rate}/${longMs}/${shortMs}${afterMs ? `/${afterMs}` : ''}`
}

/**
 * Multiwindow, multi-burn-rate alerts (Site Reliability Workbook, chapter 5, approach 6): a condition fires while both
 * of its windows burn faster than its rate. The long one says that enough of the budget is gone, the short one that it
 * still burns: it resets the alert soon after the errors stop. A long window with fewer events than the objective's
 * minimum fires nothing: of a few requests one bad one would be an alarm. A condition with `afterMs` fires once it has
 * been so at every look for that long.
 */
export class Alerts {
  readonly #policies: readonly AlertPolicy[]
  readonly #since = new Map<string, number>()
  /** Since when conditions have burnt that wait before they fire. */
  readonly #burning = new Map<string, number>()

  constructor(policies: readonly AlertPolicy[]) {
    this.#policies = policies
  }

  /** Alerts that fired when the state was written go on firing, without a second event. */
  restore(since: Readonly<Record<string, number>>): void {
    for (const policy of this.#policies) {
      for (const condition of policy.conditions) {
        const key = alertKey(policy.name, condition)
        const at = since[key]
        if (typeof at === 'number') this.#since.set(key, at)
      }
    }
  }

  /** When each alert that fires began to, by its key. */
  firing(): Record<string, number> {
    return Object.fromEntries(this.#since)
  }

  /** How every condition stands. Nothing changes. */
  states(source: BurnSource): AlertState[] {
    return this.#states(source, ({ firing }, key) => (firing ? this.#since.get(key) : undefined))
  }

  /** Moves to `now` (milliseconds since the epoch); returns what began to fire and what stopped. */
  update(source: BurnSource, now: number): AlertState[] {
    const changed: AlertState[] = []
    this.#states(
      source,
      (state, key) => {
        const since = this.#since.get(key)
        if (state.firing === (since !== undefined)) return since
        if (state.firing) this.#since.set(key, now)
        else this.#since.delete(key)
        changed.push(state.firing ? { ...state, since: now } : { ...state, ...(since !== undefined && { since }) })
        return state.firing ? now : undefined
      },
      now,
    )
    return changed
  }

  /** Whether a condition fires that burns, or not, at `now`. */
  #waited(key: string, { afterMs = 0 }: BurnCondition, burns: boolean, now: number): boolean {
    if (!burns) {
      this.#burning.delete(key)
      return false
    }
    const from = this.#burning.get(key) ?? now
    this.#burning.set(key, from)
    return this.#since.has(key) || now - from >= afterMs
  }

  #states(
    source: BurnSource,
    sinceOf: (state: AlertState, key: string) => number | undefined,
    now?: number,
  ): AlertState[] {
    return this.#policies.flatMap((policy) =>
      policy.conditions.map((condition) => {
        const key = alertKey(policy.name, condition)
        const long = source.events(condition.longMs)
        const longBurn = burnRate(long, source.target)
        const short = source.events(condition.shortMs)
        const shortBurn = burnRate(short, source.target)
        const enough = long.total >= Math.max(1, source.minimumEvents)
        const burns = exceeds(longBurn, condition.burnRate) && exceeds(shortBurn, condition.burnRate)
        const firing = now === undefined ? this.#since.has(key) : this.#waited(key, condition, enough && burns, now)
        const state: AlertState = { policy: policy.name, ...condition, longBurn, shortBurn, firing }
        const since = sinceOf(state, key)
        return since === undefined ? state : { ...state, since }
      }),
    )
  }
}

/** More than the rate, by more than the last bits of a division. */
function exceeds(burn: number, rate: number): boolean {
  return burn > rate * (1 + 1e-9)
}
