import { tracingChannel } from 'node:diagnostics_channel'

/** What subscribers of the tracing channel `subten:infer` get: `asyncEnd` has `result`, `error` has `error`. */
export interface InferEvent {
  readonly model: string
  readonly version: string
  readonly id?: string | undefined
  result?: unknown
  error?: unknown
}

const channel = tracingChannel<unknown, InferEvent>('subten:infer')

/** Whether anyone listens: nothing is built or published for an infer call otherwise. */
export function inferTraced(): boolean {
  return (
    channel.start.hasSubscribers ||
    channel.end.hasSubscribers ||
    channel.asyncStart.hasSubscribers ||
    channel.asyncEnd.hasSubscribers ||
    channel.error.hasSubscribers
  )
}

export function traceInfer<T>(event: InferEvent, run: () => Promise<T>): Promise<T> {
  return channel.tracePromise(run, event) as Promise<T>
}
