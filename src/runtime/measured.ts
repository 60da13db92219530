import type { SlaEvent } from '../sla/types.js'
import { SubtenError } from './errors.js'
import type { ModelSla } from './types.js'

/**
 * How requests of a model have ended since it was loaded, in every environment that uses it. The figures only grow,
 * whatever `resetStats()` does.
 */
export interface EngineTotals {
  /** Ended well, with a latency (submit → drained). */
  readonly measured: number
  /** Of these, in at most each threshold that was asked for; to the width of a bucket of the histogram, 0.1 %. */
  readonly within: readonly number[]
  readonly failed: number
  readonly expired: number
  readonly refused: number
  /** Given up by the caller. */
  readonly cancelled: number
}

/** What measures a model gives it. */
export interface SlaBinding {
  readonly sla: ModelSla
  /** Deadline of requests that have none of their own, milliseconds; -1: none. */
  readonly deadlineMs: number
  /** The model closes: nothing of it is in flight any more, and its figures can be read once more. It waits for this. */
  readonly onClose: () => void | Promise<void>
}

/** What a model shows to what measures it. */
export interface Measured {
  /** Undefined where there is no engine to count, or the model is closed. */
  totals(thresholdsUs: readonly number[]): EngineTotals | undefined
  bind(binding: SlaBinding): void
  emit(event: SlaEvent): void
}

/** Key of {@link Measured} on a model: not part of what users see, the same in both module formats. */
export const MEASURED = Symbol.for('subten.measured')

export function measuredOf(model: object): Measured | undefined {
  return (model as { [MEASURED]?: Measured })[MEASURED]
}

/** `model.sla` of a model without a contract. */
export function noContract(name: string): ModelSla {
  const refuse = (): never => {
    throw new SubtenError('CONFIG_INVALID', `model '${name}' was loaded without an SLA contract`, {
      remedy: "Load it with load(path, { sla: 'contract.yaml' }).",
    })
  }
  return { status: refuse, record: refuse }
}
