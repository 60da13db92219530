import type { Outputs, Timing } from '../runtime/types.js'

/** The timing of a traced result. */
export function timingOf(outputs: Outputs): Timing | undefined {
  const { timing } = outputs as { timing?: Timing }
  return typeof timing?.toServerTiming === 'function' ? timing : undefined
}

/** A `Server-Timing` header: the stages of the server (milliseconds), then those of the model. */
export function serverTiming(stages: readonly (readonly [name: string, ms: number])[], outputs: Outputs): string {
  const own = stages.map(([name, ms]) => `${name};dur=${Number(ms.toFixed(4))}`)
  const model = timingOf(outputs)?.toServerTiming()
  return model ? [...own, model].join(', ') : own.join(', ')
}
