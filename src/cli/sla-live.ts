import { writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Command, InvalidArgumentError } from 'commander'
import { slaHtml } from '../report/sla-html.js'
import { Check, type CheckVerdict } from '../sla/check.js'
import { percentCut } from '../sla/promise.js'
import type { ObjectiveStatus, SlaReport, SlaStatus } from '../sla/types.js'
import type { Context } from './context.js'
import { FAILED, OK } from './exit-codes.js'
import { wholeNumber } from './option-values.js'
import { table, toJsonText, UsageError } from './report.js'
import { askServer } from './sla-client.js'

/** Exit code of `sla check` when there were too few events to say anything, or nothing was measured. */
export const TOO_FEW = 3

const ADDRESS = 'http://127.0.0.1:8000'
const LOOK_MS = 1000
/** Of shares in tables. */
const DECIMALS = 3

interface CheckFlags {
  for: number
  url: string
  contract?: string
  objective: string[]
  minEvents?: number
  json?: boolean
}

/** The commands that ask a running server: `sla status`, `sla check` and `sla report`. */
export function addSlaLive(sla: Command, context: Context): void {
  sla
    .command('status')
    .description('how a running server stands to its contract')
    .option('--url <address>', 'of the server', ADDRESS)
    .option('--json', 'print JSON')
    .action(async (flags: { url: string; json?: boolean }, command: Command) => {
      const status = await askServer<SlaStatus>(flags.url, '/v1/sla')
      context.out(flags.json ? toJsonText(status) : statusText(status))
      const broken = status.objectives.some(({ state }) => state === 'broken')
      command.setOptionValue('exitCode', broken ? FAILED : OK)
    })
  sla
    .command('check')
    .description('watch a running server for a time and judge that time alone, for CI')
    .option('--for <time>', 'how long, as 60s or 5m', duration, 60_000)
    .option('--url <address>', 'of the server', ADDRESS)
    .option('--contract <file>', "judge by this contract instead of the server's")
    .option('--objective <name...>', 'objectives that must be judged; all that are measured by default', [])
    .option('--min-events <n>', 'below so many nothing is said; by default 1 / (1 - target)', wholeNumber(1, 1e12))
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nExit codes: 0 every objective was met, 1 one was broken (or the server could not be asked), 2 it was not called as' +
        '\nit should be, 3 too few events to say. It ends early when an objective is out of reach.',
    )
    .action(async (flags: CheckFlags, command: Command) => {
      command.setOptionValue('exitCode', await check(context, flags))
    })
  sla
    .command('report')
    .description('what was promised, what was delivered, and where the time went')
    .option('--url <address>', 'of the server', ADDRESS)
    .option('--out <file>', 'report.html or report.json; JSON is printed by default')
    .action(async ({ url, out }: { url: string; out?: string }) => {
      if (out !== undefined && !/\.(html|json)$/.test(out)) throw new UsageError('--out takes a .html or a .json file')
      const report = await askServer<SlaReport>(url, '/v1/sla/report')
      if (out === undefined) return context.out(toJsonText(report))
      await writeFile(out, out.endsWith('.html') ? slaHtml(report) : `${toJsonText(report)}\n`)
      context.err(`wrote ${out}`)
    })
}

async function check(context: Context, flags: CheckFlags): Promise<number> {
  const objectives = flags.contract === undefined ? undefined : await objectivesOf(flags.contract)
  const look = (): Promise<SlaStatus> => askServer<SlaStatus>(flags.url, '/v1/sla')
  const watching = new Check(await look(), {
    names: flags.objective,
    minimumEvents: flags.minEvents,
    ...(objectives && { objectives }),
  })
  context.err(`watching ${flags.url} for ${flags.for / 1000} s`)
  const end = performance.now() + flags.for
  for (;;) {
    const left = end - performance.now()
    if (left > 0) await sleep(Math.min(LOOK_MS, left))
    // The server counts once a second: the last look waits for the events of the last second.
    const over = performance.now() >= end
    if (over) await sleep(LOOK_MS)
    const passed = over ? 1 : Math.min(1 - 1e-9, 1 - (end - performance.now()) / flags.for)
    // A server that is too busy to answer in between is asked again; its last answer is what counts.
    const now = over ? await look() : await look().catch(() => undefined)
    if (now === undefined) continue
    const verdicts = watching.verdicts(now, passed)
    const broken = verdicts.some(({ verdict }) => verdict === 'broken')
    if (!over && !broken) continue
    const seconds = (flags.for - Math.max(0, end - performance.now())) / 1000
    context.out(flags.json ? toJsonText({ seconds, verdicts }) : checkText(verdicts, seconds, over))
    return exitCode(verdicts, flags.objective)
  }
}

async function objectivesOf(file: string): Promise<SlaStatus['objectives'][number]['objective'][]> {
  const { readContract } = await import('../sla/contract.js')
  return [...(await readContract(file)).objectives]
}

function exitCode(verdicts: readonly CheckVerdict[], names: readonly string[]): number {
  if (verdicts.some(({ verdict }) => verdict === 'broken')) return FAILED
  // What is not measured here is not judged, unless it was asked for by name.
  const judged = verdicts.filter(({ objective, verdict }) => verdict !== 'not-measured' || names.includes(objective))
  return judged.length > 0 && judged.every(({ verdict }) => verdict === 'met') ? OK : TOO_FEW
}

function checkText(verdicts: readonly CheckVerdict[], seconds: number, over: boolean): string {
  const rows = verdicts.map(({ objective, verdict, target, events, compliance, why }) => [
    objective,
    WORDS[verdict],
    percentCut(target, DECIMALS),
    compliance === undefined ? '-' : percentCut(compliance, DECIMALS),
    events.total,
    events.total - events.good,
    events.excluded,
    why,
  ])
  const head = ['objective', 'verdict', 'target', 'got', 'events', 'bad', 'excluded', '']
  const end = over ? `watched for ${seconds.toFixed(0)} s` : `out of reach after ${seconds.toFixed(0)} s`
  return `${table(head, rows)}\n${end}`
}

const WORDS: Readonly<Record<CheckVerdict['verdict'], string>> = {
  met: 'met',
  broken: 'BROKEN',
  'too-few': 'too few',
  running: 'undecided',
  'not-measured': 'not measured',
}

function statusText({ at, since, objectives }: SlaStatus): string {
  const rows = objectives.map((each) => {
    const { objective, state, events, compliance, budgetLeft } = each
    return [
      objective.name,
      each.notMeasured === undefined ? state : 'not measured',
      percentCut(objective.target, DECIMALS),
      compliance === undefined ? '-' : percentCut(compliance, DECIMALS),
      budgetLeft === undefined ? '-' : percentCut(budgetLeft, DECIMALS),
      events.total,
      events.excluded,
      aside(each),
    ]
  })
  const head = ['objective', 'state', 'target', 'got', 'budget left', 'events', 'excluded', '']
  const counted = `counted since ${new Date(since).toISOString()}, as of ${new Date(at).toISOString()}`
  return objectives.length === 0 ? `the contract has no objectives; ${counted}` : `${table(head, rows)}\n${counted}`
}

function aside({ notMeasured, alerts }: ObjectiveStatus): string {
  if (notMeasured !== undefined) return notMeasured
  const firing = alerts.filter((alert) => alert.firing)
  return firing
    .map(({ severity, policy, longBurn }) => `${severity}: ${policy} burns ${longBurn.toFixed(1)}x`)
    .join(', ')
}

/** `60s`, `5m`, `500ms`, `1h`, or seconds alone; in milliseconds. */
function duration(text: string): number {
  const [, number, unit = 's'] = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text.trim()) ?? []
  const ms = Number(number) * { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }[unit as 'ms' | 's' | 'm' | 'h']
  if (Number.isFinite(ms) && ms > 0 && ms <= 24 * 3_600_000) return ms
  throw new InvalidArgumentError('It must be a time such as 60s, 5m or 1h, at most 24h.')
}
