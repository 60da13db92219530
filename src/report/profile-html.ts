import { loadText } from '../profile/load-plan.js'
import type { ProfileReport, ProfileRun } from '../profile/report-types.js'
import { Charts } from './charts.js'
import { comparisonCard } from './comparison.js'
import { documentOf } from './document.js'
import { banner, card, facts, masthead, noteList } from './frame.js'
import { type Content, type Html, html } from './html.js'
import { mlperfCard, searchCard, verdictCard } from './profile-checks.js'
import { headline } from './profile-headline.js'
import { overview } from './profile-overview.js'
import { runSection } from './profile-run.js'
import { counted, figure, moment, percent, time } from './quantities.js'
import { repeatedCard } from './repeated.js'

/** More runs than that are folded: their figures are in the table. */
const OPEN_RUNS = 2
/** Points of all charts over time together; more makes a file that telephones do not open. */
const POINTS = 24_000

/**
 * A load test as one HTML file that needs no network and runs nothing but its own script: for people, to be sent on.
 *
 * @returns the text of the file, UTF-8
 */
export function profileHtml(report: ProfileReport): string {
  const charts = new Charts()
  // Of several processes a few may be invalid: the whole is not, and its figures leave them out.
  const invalid = report.repeated?.valid ? [] : report.runs.filter((run) => run.schedule?.kept === false)
  const points = Math.max(60, Math.min(1500, Math.floor(POINTS / Math.max(1, report.runs.length))))
  const { target } = report
  const body = html`<main${invalid.length > 0 && html` class="has-invalid"`}>
${masthead('load test', target.model, html`${where(report)} · ${moment(report.at)}`)}
${invalid.length > 0 && invalidBanner(invalid, report.runs.length)}
${judgement(report, invalid)}
${report.runs.length === 0 && banner('plain', 'Nothing was measured', html`<p>This report has no run.</p>`)}
${headline(report)}
${report.repeated && repeatedCard(report.repeated)}
${report.verdict && verdictCard(report.verdict)}
${report.comparison && comparisonCard(report.comparison)}
${report.search && searchCard(report.search, charts)}
${report.mlperf && mlperfCard(report.mlperf)}
${overview(report.runs, charts)}
${report.runs.map((run, i) => runSection(run, i, { charts, points, open: report.runs.length <= OPEN_RUNS, alone: report.runs.length === 1 }))}
${report.notes.length > 0 && card('notes', 'Read this with the figures', '', noteList(report.notes))}
${card('machine', 'Machine and measurement', '', machine(report))}
</main>
<footer><p>Made by subten ${report.machine.subten}. Latency counts from the time at which a request was meant to be sent, so that a stall is not hidden by its own delay; closed loops cannot do that.</p></footer>`
  return documentOf(`${invalid.length > 0 ? 'INVALID: ' : ''}${target.model}, load test`, body, charts.all)
}

const KINDS: Readonly<Record<ProfileReport['target']['kind'], string>> = {
  'in-process': 'in this process',
  'kserve-json': 'KServe v2 over HTTP, JSON',
  'kserve-binary': 'KServe v2 over HTTP, binary tensors',
  classify: 'the classify endpoint over HTTP',
  'kserve-grpc': 'KServe v2 over gRPC',
}

function where({ target }: ProfileReport): Content {
  const parts = [
    target.version !== undefined && `version ${target.version}`,
    target.engine !== undefined && `engine ${target.engine}`,
    target.url === undefined ? KINDS[target.kind] : `${KINDS[target.kind]} at ${target.url}`,
  ]
  return parts.filter((part) => part !== false).join(' · ')
}

function invalidBanner(invalid: readonly ProfileRun[], all: number): Html {
  const title =
    all === 1
      ? 'Invalid: this run says nothing about the target'
      : `Invalid: ${invalid.length === all ? 'all' : `${invalid.length} of`} ${counted(all, 'run')} ${invalid.length === 1 && all > 1 ? 'says' : 'say'} nothing about the target`
  return html`<div class="invalid-strip">${invalid.length === all ? 'INVALID MEASUREMENT' : `${counted(invalid.length, 'INVALID RUN')}`}</div>
${banner(
  'bad',
  title,
  html`<p>The load generator did not keep its own schedule, so the figures show the generator and not the target. Use fewer requests a second, a faster machine, or another machine for the load.</p>
<ul>${invalid.slice(0, 8).map((run) => html`<li><b>${run.label}</b>: ${reasonOf(run)}</li>`)}${invalid.length > 8 && html`<li>and ${invalid.length - 8} more</li>`}</ul>`,
)}`
}

function reasonOf({ schedule }: ProfileRun): string {
  if (!schedule) return ''
  if (schedule.reason) return schedule.reason
  return `${percent(schedule.late)} of the requests left more than ${time(schedule.boundUs)} late; ${percent(schedule.allowed)} are allowed`
}

/** The verdict where the report has one, else whether what was measured can be believed. */
function judgement(report: ProfileReport, invalid: readonly ProfileRun[]): Content {
  const banners: Content[] = []
  const { verdict, mlperf } = report
  if (verdict && verdict.length > 0) {
    const broken = verdict.filter((each) => !each.ok && each.unknown === undefined).length
    const unknown = verdict.filter((each) => each.unknown !== undefined).length
    const says = html`<p>${counted(verdict.length, 'objective')} of the contract${unknown > 0 && `, ${unknown} not judged`}.</p>`
    // A verdict on an invalid run is none.
    if (invalid.length > 0) banners.push(banner('warn', 'The contract is not judged by an invalid run', says))
    else if (broken > 0) banners.push(banner('bad', `${counted(broken, 'objective')} broken`, says))
    else if (unknown === verdict.length) banners.push(banner('warn', 'No objective could be judged', says))
    else
      banners.push(
        banner(unknown > 0 ? 'warn' : 'good', unknown > 0 ? 'What could be judged was met' : 'Contract met', says),
      )
  }
  if (mlperf) {
    banners.push(
      mlperf.valid && invalid.length === 0
        ? banner('good', `Valid by the rules of MLPerf, ${mlperf.scenario}`, '')
        : banner('bad', `Not valid by the rules of MLPerf, ${mlperf.scenario}`, ''),
    )
  }
  const open = report.runs.filter((run) => run.schedule)
  const scheduled = open.filter((run) => run.schedule?.kept)
  if (invalid.length === 0 && scheduled.length > 0 && banners.length === 0) {
    const late = Math.max(...scheduled.map((run) => run.schedule?.late ?? 0))
    const bound = Math.max(...scheduled.map((run) => run.schedule?.boundUs ?? 0))
    banners.push(
      banner(
        'good',
        'The load was what it was meant to be',
        html`<p>The generator kept its schedule${open.length > 1 && ` in ${scheduled.length < open.length ? `${scheduled.length} of` : 'all'} ${open.length} open-loop runs`}: ${late === 0 ? 'no request left' : `${scheduled.length > 1 ? 'at most ' : ''}${percent(late)} of requests left`} more than ${time(bound)} late.</p>`,
      ),
    )
  }
  const closed = report.runs.filter((run) => run.load.kind === 'closed')
  if (closed.length > 0 && closed.length === report.runs.length && banners.length === 0) {
    banners.push(
      banner(
        'plain',
        'A closed loop: it has no schedule',
        html`<p>Each caller waits for its answer before it sends again. That finds the highest throughput, and hides stalls: read latency from an open loop (<code>--rate</code>).</p>`,
      ),
    )
  }
  return banners
}

function machine(report: ProfileReport): Html {
  const { machine } = report
  const loads = [...new Set(report.runs.map((run) => loadText(run.load)))]
  return facts([
    ['processor', `${machine.cpu}, ${counted(machine.cpus, 'CPU')}`],
    ['memory', `${figure(machine.memoryGiB)} GiB`],
    ['system', machine.os],
    ['Node.js', machine.node],
    ['subten', machine.subten],
    ['seed', String(report.seed)],
    ['load', loads.slice(0, 12).join('; ') + (loads.length > 12 ? `; and ${loads.length - 12} more` : '') || '–'],
    ['made', moment(report.at)],
    ['format', report.schema],
  ])
}
