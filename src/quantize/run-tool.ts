import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { ERROR_TABLE, type ErrorCode } from '../runtime/error-table.js'
import { SubtenError } from '../runtime/errors.js'
import type { ToolEvent, ToolRequest, ToolResult } from './tool-types.js'
import type { ToolsPython } from './tools-python.js'

export interface ToolWatch {
  onEvent?(event: Extract<ToolEvent, { event: 'progress' | 'note' }>): void
  /** Ends the process at once. */
  signal?: AbortSignal | undefined
}

const KEPT_LINES = 40

/**
 * Runs `tools/quantize.py`. Resolves or rejects only when the process is gone; it goes too when this process does, since
 * its standard input ends then.
 *
 * @throws SubtenError with the tool's own code; ENGINE_NOT_FOUND where Python cannot be started, OUT_OF_MEMORY where the
 *   system ended it, ENGINE_FAILED where it ended without a word. `details.trace` has Python's words.
 */
export async function runTool(python: ToolsPython, request: ToolRequest, watch: ToolWatch): Promise<ToolResult> {
  watch.signal?.throwIfAborted()
  // Isolated, so that the user's own packages cannot get into our environment.
  const flags = python.ours ? ['-I', '-B'] : ['-B']
  const child = spawn(python.executable, [...flags, join(python.tools, 'quantize.py')], {
    stdio: ['pipe', 'pipe', 'pipe'],
    // ONNX Runtime's Python package sends usage data and keeps an identifier unless it is told not to before it starts.
    env: { ...process.env, ORT_DISABLE_TELEMETRY: '1' },
  })
  const kill = (): void => void child.kill('SIGKILL')
  watch.signal?.addEventListener('abort', kill, { once: true })
  const words: string[] = []
  createInterface({ input: child.stderr }).on('line', (line) => {
    words.push(line)
    if (words.length > KEPT_LINES) words.shift()
  })
  let last: ToolEvent | undefined
  createInterface({ input: child.stdout }).on('line', (line) => {
    const event = parsed(line)
    if (event?.event === 'progress' || event?.event === 'note') watch.onEvent?.(event)
    else last = event ?? last
  })
  // A process that is gone before it has read breaks the pipe: its end says what there is to say.
  child.stdin.on('error', () => {})
  child.stdin.write(`${JSON.stringify(request)}\n`)
  try {
    const ended = await new Promise<string>((resolve, reject) => {
      child.on('error', (cause) => reject(notStarted(python, cause)))
      child.on('close', (code, signal) => resolve(signal ?? `exit code ${code}`))
    })
    watch.signal?.throwIfAborted()
    if (last?.event === 'result') return last.result
    throw last?.event === 'error' ? errorOf(last, words) : withoutWord(ended, words)
  } finally {
    watch.signal?.removeEventListener('abort', kill)
  }
}

function parsed(line: string): ToolEvent | undefined {
  try {
    return JSON.parse(line) as ToolEvent
  } catch {
    return undefined
  }
}

function errorOf(event: Extract<ToolEvent, { event: 'error' }>, words: readonly string[]): SubtenError {
  const { message, remedy, details } = event
  const code = Object.hasOwn(ERROR_TABLE, event.code) ? (event.code as ErrorCode) : 'ENGINE_FAILED'
  const trace = event.trace || words.join('\n')
  const advice = remedy ?? (code === 'ENGINE_FAILED' ? 'Run it again with --debug to see what Python says.' : undefined)
  return new SubtenError(code, message, { ...(advice && { remedy: advice }), details: { ...details, trace } })
}

function notStarted(python: ToolsPython, cause: Error): SubtenError {
  return new SubtenError('ENGINE_NOT_FOUND', `${python.executable} cannot be started: ${cause.message}`, { cause })
}

function withoutWord(ended: string, words: readonly string[]): SubtenError {
  const details = { trace: words.join('\n') }
  if (ended === 'SIGKILL') {
    return new SubtenError('OUT_OF_MEMORY', 'the system ended the quantiser, most likely for want of memory', {
      remedy: 'Give fewer or smaller rows (--rows), or run where more memory is free.',
      details,
    })
  }
  const line = words.at(-1) ?? 'it said nothing'
  return new SubtenError('ENGINE_FAILED', `the quantiser ended with ${ended}: ${line}`, {
    remedy: 'Run it again with --debug to see what Python says.',
    details,
  })
}
