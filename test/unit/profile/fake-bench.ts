import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ProfileReport } from '../../../src/profile/report-types.js'

/**
 * A program that prints a report as `subten bench --json` would, whatever it is asked, with the latencies of each call
 * times another number; without a report it fails as a bench without a model does. The calls of `others`, from 0, print
 * another report.
 */
export function fakeBench(
  folder: string,
  report: ProfileReport | undefined,
  times: readonly number[] = [1],
  others: Readonly<Record<number, ProfileReport>> = {},
): { program: string; calls(): string[][] } {
  const own = mkdtempSync(join(folder, 'fake-'))
  const program = join(own, 'cli.mjs')
  const log = join(own, 'calls')
  const prints = report
    ? `for (const run of report.runs) for (const percentile of Object.values(run.latencyUs))
  for (const end of ['value', 'low', 'high']) if (percentile[end]) percentile[end] *= times[calls % times.length]
console.log(JSON.stringify(report))`
    : `console.error('MODEL_NOT_FOUND: there is no model m')
process.exitCode = 1`
  writeFileSync(
    program,
    `import { appendFileSync, existsSync, readFileSync } from 'node:fs'
const log = ${JSON.stringify(log)}
const others = ${JSON.stringify(others)}
const times = ${JSON.stringify(times)}
const calls = existsSync(log) ? readFileSync(log, 'utf8').trim().split('\\n').length : 0
appendFileSync(log, JSON.stringify(process.argv.slice(2)) + '\\n')
const report = others[calls] ?? ${JSON.stringify(report ?? null)}
${prints}
`,
  )
  return {
    program,
    calls: () =>
      existsSync(log)
        ? readFileSync(log, 'utf8')
            .trim()
            .split('\n')
            .map((line) => JSON.parse(line) as string[])
        : [],
  }
}
