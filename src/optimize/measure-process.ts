import { spawn } from 'node:child_process'
import { SubtenError } from '../runtime/errors.js'
import type { ChildAnswer, ChildRequest } from './measure-child.js'

/** The command that answers requests; it is not listed in the help. */
export const CHILD_COMMAND = 'measure-candidate'

/** A process that says nothing for so long beyond what it was asked to take hangs, seconds. */
const PATIENCE_SECONDS = 120
const KILL_AFTER_MS = 2000

/** Why a process gave no answer: the candidate cannot be measured, which is a finding and no failure of the search. */
export class ChildFailure extends Error {}

/**
 * Has a request answered in a process of its own, so that memory, processor time, thread pools and what the compiler
 * learned are those of one candidate. The process has a group of its own, so that Ctrl-C reaches it through us alone; and
 * it ends when its standard input does, so that it outlives nobody, a parent that was killed neither.
 *
 * @throws ChildFailure with the reason where the process fails, crashes or hangs; the reason of `signal`
 */
export function inProcess<R extends ChildRequest>(
  program: string,
  request: R,
  seconds: number,
  signal?: AbortSignal,
): Promise<ChildAnswer<R>> {
  signal?.throwIfAborted()
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [program, CHILD_COMMAND], { stdio: ['pipe', 'pipe', 'pipe'], detached: true })
    const text = { stdout: '', stderr: '' }
    for (const stream of ['stdout', 'stderr'] as const) {
      child[stream].setEncoding('utf8').on('data', (chunk: string) => {
        text[stream] += chunk
      })
    }
    let hung = false
    const stop = (): void => {
      child.kill('SIGTERM')
      setTimeout(() => child.kill('SIGKILL'), KILL_AFTER_MS).unref()
    }
    const timer = setTimeout(
      () => {
        hung = true
        stop()
      },
      (seconds + PATIENCE_SECONDS) * 1000,
    )
    signal?.addEventListener('abort', stop, { once: true })
    child.on('error', (error) => reject(new ChildFailure(error.message)))
    child.on('close', (code, killed) => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', stop)
      if (signal?.aborted) return reject(signal.reason)
      if (hung) return reject(new ChildFailure(`it gave no answer within ${seconds + PATIENCE_SECONDS} s`))
      try {
        const value = JSON.parse(text.stdout) as { answer?: ChildAnswer<R>; failed?: string }
        if (value.answer !== undefined) return resolve(value.answer)
        reject(new ChildFailure(value.failed ?? 'it gave no answer'))
      } catch {
        const said = text.stderr.trim().split('\n').slice(-3).join(' ')
        reject(
          new ChildFailure(`the process ended with ${killed ?? `exit code ${code}`}${said === '' ? '' : `: ${said}`}`),
        )
      }
    })
    child.stdin.on('error', () => {}) // it died before it read: `close` says how
    child.stdin.write(`${JSON.stringify(request)}\n`)
  })
}

/** A request that comes over standard input, answered on standard output: what the process of {@link inProcess} does. */
export async function serveRequest(
  input: NodeJS.ReadableStream,
  out: (text: string) => void,
  answer: (request: ChildRequest) => Promise<unknown>,
): Promise<void> {
  const request = await firstLine(input)
  input.on('end', () => process.exit(1))
  input.on('close', () => process.exit(1))
  input.resume()
  try {
    out(JSON.stringify({ answer: await answer(request) }))
  } catch (error) {
    const failed = error instanceof SubtenError ? `${error.code}: ${error.message}` : String((error as Error).message)
    out(JSON.stringify({ failed }))
  } finally {
    input.removeAllListeners('end').removeAllListeners('close')
    input.pause()
    ;(input as { unref?: () => void }).unref?.()
  }
}

function firstLine(input: NodeJS.ReadableStream): Promise<ChildRequest> {
  return new Promise((resolve, reject) => {
    let text = ''
    const onData = (chunk: Buffer | string): void => {
      text += chunk
      const end = text.indexOf('\n')
      if (end < 0) return
      input.removeListener('data', onData)
      input.removeListener('end', onEnd)
      resolve(JSON.parse(text.slice(0, end)) as ChildRequest)
    }
    const onEnd = (): void => reject(new SubtenError('INVALID_INPUT', 'this command is for `subten optimize` itself'))
    input.on('data', onData)
    input.on('end', onEnd)
  })
}
