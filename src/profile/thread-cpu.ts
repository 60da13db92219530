import { readFileSync, readlinkSync } from 'node:fs'

/** This thread as the kernel numbers it, or '' where there is no /proc. */
export function threadId(): string {
  try {
    return /\d+$/.exec(readlinkSync('/proc/thread-self'))?.[0] ?? ''
  } catch {
    return ''
  }
}

/** Processor time of threads of this process so far, microseconds; undefined where the kernel does not tell. */
export function threadCpuUs(threads: readonly string[]): number | undefined {
  try {
    let ns = 0
    for (const thread of threads)
      ns += Number(readFileSync(`/proc/self/task/${thread}/schedstat`, 'utf8').split(' ')[0])
    return Number.isFinite(ns) ? ns / 1000 : undefined
  } catch {
    return undefined
  }
}
