import type { Outputs, Timing } from '../runtime/types.js'

/** The timing of a traced result. */
export function timingOf(outputs: Outputs): Timing | undefined {
  const { timing } = outputs as { timing?: Timing }
  return typeof timing?.toServerTiming === 'function' ? timing : undefined
}

/** A `Server-Timing` header: the stages of the model. */
export function serverTiming(outputs: Outputs): string {
  return timingOf(outputs)?.toServerTiming() ?? ''
}
