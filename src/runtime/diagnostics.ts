import { tracingChannel } from 'node:diagnostics_channel'

/** What subscribers of the tracing channel `subten:infer` get: `asyncEnd` has `result`, `error` has `error`. */
export interface InferEvent {
  readonly model: string
  readonly version: string
  readonly id?: string | undefined
  result?: unknown
  error?: unknown
}

/** What subscribers of the tracing channel `subten:stream` get: `asyncEnd` has `result`, how many parts came. */
export interface StreamEvent {
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

const streams = tracingChannel<unknown, StreamEvent>('subten:stream')

/** Whether anyone listens to streams. */
export function streamTraced(): boolean {
  const { start, end, asyncStart, asyncEnd, error } = streams
  return [start, end, asyncStart, asyncEnd, error].some((each) => each.hasSubscribers)
}

/** `run` begins a stream and resolves, when it has ended, to how many parts came. */
export function traceStream(event: StreamEvent, run: () => Promise<number>): void {
  streams.tracePromise(run, event).catch(() => {}) // whoever reads the stream gets it
}

export function traceInfer<T>(event: InferEvent, run: () => Promise<T>): Promise<T> {
  return channel.tracePromise(run, event) as Promise<T>
}
