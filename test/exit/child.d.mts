export interface Ended {
  code: number | null
  signal: NodeJS.Signals | null
  stdout: string
  stderr: string
}

/** Runs an ES module in a Node of its own, on the built package. Killed (SIGKILL) when it takes too long. */
export function runChild(
  code: string,
  options?: {
    args?: string[]
    env?: Record<string, string>
    timeoutMs?: number
    onOutput?: (text: string, kill: (signal: NodeJS.Signals) => void) => void
  },
): Promise<Ended>
