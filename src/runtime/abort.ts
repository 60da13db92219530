/** Something that an AbortSignal ends. */
export interface Abortable {
  abort(reason: unknown): void
}

const watched = new WeakMap<AbortSignal, { waiting: Set<Abortable>; listener: () => void }>()

/** Ends `target` when `signal` aborts. However many targets a signal has, it carries one listener of ours. */
export function watchAbort(signal: AbortSignal, target: Abortable): void {
  let entry = watched.get(signal)
  if (entry === undefined) {
    const waiting = new Set<Abortable>()
    const listener = (): void => {
      watched.delete(signal)
      for (const each of waiting) each.abort(signal.reason)
    }
    entry = { waiting, listener }
    watched.set(signal, entry)
    signal.addEventListener('abort', listener, { once: true })
  }
  entry.waiting.add(target)
}

/** Takes `target` off the signal; the listener goes with the last one. */
export function unwatchAbort(signal: AbortSignal, target: Abortable): void {
  const entry = watched.get(signal)
  if (entry === undefined || !entry.waiting.delete(target) || entry.waiting.size > 0) return
  watched.delete(signal)
  signal.removeEventListener('abort', entry.listener)
}
