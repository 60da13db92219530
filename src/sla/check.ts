import { errorRatio } from './budget.js'
import { surelyBroken } from './early-verdict.js'
import type { EventCounts, Objective, ObjectiveStatus, SlaStatus } from './types.js'

export interface CheckOptions {
  /** Objectives that must be judged, by name; all that are measured when empty. */
  readonly names?: readonly string[]
  /** The contract to judge by, when it is not the server's. Its indicators must be those that the server measures. */
  readonly objectives?: readonly Objective[]
  /** Below so many events nothing is said; by default as many as allow one bad event. */
  readonly minimumEvents?: number | undefined
}

export interface CheckVerdict {
  readonly objective: string
  /** `running`: it may still go either way. */
  readonly verdict: 'met' | 'broken' | 'too-few' | 'running' | 'not-measured'
  readonly target: number
  /** Of the time of the check alone. */
  readonly events: EventCounts
  readonly compliance?: number
  readonly why: string
}

/** Judges a server by the events of a stretch of time, from what it tells of its counts. */
export class Check {
  readonly #options: CheckOptions
  readonly #first: ReadonlyMap<string, EventCounts>

  constructor(first: SlaStatus, options: CheckOptions = {}) {
    this.#options = options
    this.#first = new Map(first.objectives.map(({ objective, counted }) => [objective.name, counted ?? ZERO]))
  }

  /** `passed`: the share of the time that is over; 1: its end. */
  verdicts(now: SlaStatus, passed: number): CheckVerdict[] {
    const { names = [], objectives } = this.#options
    const there = new Map(now.objectives.map((each) => [each.objective.name, each]))
    const judged = objectives ?? now.objectives.map(({ objective }) => objective)
    const wanted = names.length === 0 ? judged : judged.filter(({ name }) => names.includes(name))
    const missing = names.filter((name) => !judged.some((each) => each.name === name))
    return [
      ...missing.map((name) => unmeasured(name, 0, 'the contract has no such objective')),
      ...wanted.map((objective) => this.#judge(objective, there.get(objective.name), passed)),
    ]
  }

  #judge(objective: Objective, status: ObjectiveStatus | undefined, passed: number): CheckVerdict {
    const { name, target } = objective
    if (status === undefined) return unmeasured(name, target, 'the server has no such objective')
    if (!sameIndicator(objective, status.objective)) {
      return unmeasured(name, target, 'the server measures something else under this name')
    }
    if (status.notMeasured !== undefined) return unmeasured(name, target, status.notMeasured)
    const events = less(status.counted ?? ZERO, this.#first.get(name) ?? ZERO)
    const { good, total } = events
    if (passed < 1) {
      const lost = surelyBroken(good, total, target) && outOfReach(good, total, target, passed)
      return verdict(objective, events, lost ? 'broken' : 'running')
    }
    const least = this.#options.minimumEvents ?? Math.ceil(1 / (1 - target) - 1e-9)
    if (total < Math.max(1, least))
      return verdict(objective, events, 'too-few', `fewer than ${Math.max(1, least)} events`)
    return verdict(objective, events, errorRatio(events) > (1 - target) * (1 + 1e-9) ? 'broken' : 'met')
  }
}

/** How much more traffic than so far may come to the rescue of an objective. */
const MORE = 1.5

/** Whether the target would be missed even if from here on half as much more traffic came, and all of it was good. */
function outOfReach(good: number, total: number, target: number, passed: number): boolean {
  const atEnd = total * (1 + (MORE * (1 - passed)) / Math.max(passed, 1e-6))
  return total - good > atEnd * (1 - target)
}

const ZERO: EventCounts = { good: 0, total: 0, excluded: 0 }

function less(now: EventCounts, before: EventCounts): EventCounts {
  // The server was started anew in between: what it has counted since is all there is.
  if (now.total < before.total) return now
  const { good, total, excluded } = before
  return { good: now.good - good, total: now.total - total, excluded: Math.max(0, now.excluded - excluded) }
}

function sameIndicator(a: Objective, b: Objective): boolean {
  const facts = ({ indicator }: Objective): string => JSON.stringify(Object.entries(indicator).sort())
  return facts(a) === facts(b)
}

function unmeasured(objective: string, target: number, why: string): CheckVerdict {
  return { objective, verdict: 'not-measured', target, events: ZERO, why }
}

function verdict(
  { name, target }: Objective,
  events: EventCounts,
  is: CheckVerdict['verdict'],
  why = '',
): CheckVerdict {
  const compliance = events.total === 0 ? {} : { compliance: 1 - errorRatio(events) }
  return { objective: name, verdict: is, target, events, ...compliance, why }
}
