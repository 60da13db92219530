import { channel } from 'node:diagnostics_channel'
import { addon } from './binding.js'

/** What subscribers of the channel `subten:log` get: a line that the library of an engine has logged. */
export interface LogEvent {
  /** Name of the engine: triton. */
  readonly engine: string
  readonly level: 'error' | 'warn' | 'info' | 'debug'
  /** File and line in the library; '' when it did not say. */
  readonly source: string
  readonly message: string
}

const LEVELS = ['error', 'warn', 'info', 'debug'] as const
const log = channel('subten:log')
let listening = false

/** From here on what engines log is published on the channel `subten:log`, in this environment. */
export function publishEngineLog(): void {
  if (listening) return
  listening = true
  addon().onEngineLog((engine, level, source, message) => {
    if (log.hasSubscribers) log.publish({ engine, level: LEVELS[level] ?? 'info', source, message } satisfies LogEvent)
  })
}
