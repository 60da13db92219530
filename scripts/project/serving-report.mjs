// What `measureServing` found: a table in Markdown, the runs as a report of the load generator, JSON.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fromSources } from '../sources.mjs'
import { middle, over } from './serving.mjs'
import { BATCHING } from './settings.mjs'

const ms = (us) => (us >= 100_000 ? `${(us / 1000).toFixed(0)}` : (us / 1000).toFixed(us < 10_000 ? 2 : 1))
const spread = (figure) => (figure === undefined ? '–' : `${ms(figure.median)} (${ms(figure.low)}–${ms(figure.high)})`)

/** Whether a setting kept the contract in every run: at least 99 % of what was asked was answered in time. */
export function keeps(setting) {
  return setting.runs.every((run) => (run.goodput ?? 0) * run.seconds >= 0.99 * run.requests.sent)
}

export function servingMarkdown(measured, { rate, slaMs, title, repeats, seconds }) {
  const rows = measured.map((setting) => {
    const { runs } = setting
    const inTime = runs.map((run) => (100 * (run.goodput ?? 0) * run.seconds) / Math.max(1, run.requests.sent))
    const late = runs.filter((run) => run.schedule?.kept === false).length
    const cells = [
      `${setting.precision}${late > 0 ? ` (${late} of ${runs.length} invalid: sent late)` : ''}`,
      setting.engine,
      BATCHING[setting.batching],
      ...['p50', 'p95', 'p99', 'p999'].map((percentile) => spread(over(runs, percentile))),
      `${Math.min(...inTime).toFixed(1)} %`,
      keeps(setting) ? 'yes' : 'no',
    ]
    return `| ${cells.join(' | ')} |`
  })
  return [
    `### ${title}`,
    '',
    `Poisson arrivals, ${rate} pictures a second over HTTP (\`POST /v1/classify\`), ${repeats} runs of ${seconds} s of each setting, in rounds. Milliseconds from the time at which a picture should have been sent to its answer: median of the runs (lowest–highest). "In time": answered within ${slaMs} ms, of all that were sent, in the worst run; the contract wants 99 %.`,
    '',
    '| model | engine | batching | p50 | p95 | p99 | p99.9 | in time | keeps it |',
    '|---|---|---|---:|---:|---:|---:|---:|---|',
    ...rows,
    '',
  ].join('\n')
}

/** The runs in the middle of each setting, as the load generator's own report. */
export async function writeServing(folder, name, measured, title) {
  const { profileHtml, machineFacts, PROFILE_SCHEMA } = await fromSources(
    'src/report/profile-html.ts',
    'src/cli/machine-facts.ts',
    'src/profile/report-types.ts',
  )
  const runs = measured.map(({ runs }) => middle(runs))
  const report = {
    schema: PROFILE_SCHEMA,
    at: Date.now(),
    machine: machineFacts(),
    target: { kind: 'classify', model: title, version: '1', engine: 'both', inputs: [], maxBatchSize: 0 },
    seed: 1,
    runs,
    notes: ['Of each setting the run in the middle of its repeats, by p99.'],
  }
  writeFileSync(join(folder, `${name}.html`), profileHtml(report))
  writeFileSync(
    join(folder, `${name}.json`),
    `${JSON.stringify({ machine: report.machine, settings: brief(measured) })}\n`,
  )
  return report.machine
}

/** Without the series and curves, which are of use to nobody here and large. */
function brief(measured) {
  return measured.map(({ runs, ...setting }) => ({
    ...setting,
    runs: runs.map(({ series: _, curve: __, ...run }) => run),
  }))
}
