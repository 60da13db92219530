import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { SubtenError } from '../runtime/errors.js'
import { figuresOf, isProfileReport, type ReportFigures } from './compare-figures.js'
import type { ProfileReport } from './report-types.js'

/** The command line of a build: `dist/cli.js` in its folder. */
export function benchProgram(build: string): string {
  const program = join(build, 'dist', 'cli.js')
  if (existsSync(program)) return program
  throw new SubtenError('CONFIG_INVALID', `there is no dist/cli.js in '${build}'`, {
    remedy: 'Name the folder of a built checkout (`npm run build`) or of an installed package.',
    details: { file: program },
  })
}

/**
 * Runs `subten bench … --json` of a build in a process of its own and reads what it prints.
 *
 * @throws SubtenError ENGINE_FAILED when it prints no report: its own message is passed on
 */
export function runBench(program: string, args: readonly string[], signal?: AbortSignal): Promise<ReportFigures> {
  return printed(program, args, figuresOf, signal)
}

/** The same, and the whole report: of a build whose reports are like ours. */
export function benchReport(program: string, args: readonly string[], signal?: AbortSignal): Promise<ProfileReport> {
  return printed(program, args, (value) => (isProfileReport(value) ? value : undefined), signal)
}

async function printed<T>(
  program: string,
  args: readonly string[],
  read: (value: unknown) => T | undefined,
  signal: AbortSignal | undefined,
): Promise<T> {
  const { code, stdout, stderr } = await output(program, ['bench', ...args, '--json'], signal)
  // A bench whose requests failed, or that broke a contract, ends with a code of its own and prints its report all the same.
  const report = read(parsed(stdout))
  if (report) return report
  const why = stderr.trim().split('\n').slice(-5).join('\n') || 'it printed nothing that is a report'
  throw new SubtenError('ENGINE_FAILED', `${program} bench ended with ${code}: ${why}`, {
    remedy: `Run it by hand: node ${program} bench ${args.join(' ')} --json`,
  })
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function output(
  program: string,
  args: readonly string[],
  signal: AbortSignal | undefined,
): Promise<{ code: string; stdout: string; stderr: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'pipe'], signal })
    const text = { stdout: '', stderr: '' }
    for (const stream of ['stdout', 'stderr'] as const) {
      child[stream].setEncoding('utf8').on('data', (chunk: string) => {
        text[stream] += chunk
      })
    }
    child.on('error', reject)
    child.on('close', (code, killed) => resolve({ code: killed ?? `exit code ${code}`, ...text }))
  })
}
