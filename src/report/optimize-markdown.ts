import type { OptimizeReport } from '../optimize/types.js'
import { rangeText } from './optimize-html.js'
import { headlineOf, settingText } from './optimize-words.js'
import { counted, figure, moment, percent, rate, stretch, time } from './quantities.js'

/** The report as Markdown: for a repository, a ticket, a review. */
export function optimizeMarkdown(report: OptimizeReport): string {
  const { machine, slo, sentences, search, recommendation, data } = report
  const { title, says } = headlineOf(report)
  const order = [...report.results].sort((a, b) => b.rung - a.rung || b.capacity.value - a.capacity.value)
  const parts = [
    `# ${text(report.model)}: p99 within ${time(slo.limitUs)}`,
    `**${text(title)}.**`,
    says.map(text).join('\n'),
    list([...sentences.first]),
    section('Batching', list(sentences.batching)),
    section('Quantisation', list(sentences.quantisation)),
    section(
      'Variants',
      grid(
        ['variant', 'precision', 'engine', 'top-1', '95 % interval', 'difference, points', 'interval', ''],
        report.variants.map(({ variant, precision, engine, accuracy, refused, caution, base }) => {
          const { top1, against } = accuracy ?? {}
          const difference = against?.difference
          return [
            variant,
            precision,
            engine,
            top1 ? percent(top1.value) : '–',
            top1 ? rangeText(top1, percent) : '',
            difference ? points(difference.value) : '–',
            difference ? rangeText(difference, points) : '',
            refused === undefined ? (caution ?? (base ? 'the model' : 'may be taken')) : `refused: ${refused}`,
          ]
        }),
      ),
    ),
    section(
      'Settings',
      grid(
        ['setting', 'capacity', '95 % interval', 'alone', 'CPU a request', 'memory', 'stage', 'dropped, since'],
        order.map(({ candidate, capacity, figures, rung, dropped, pareto }) => {
          const last = figures.at(-1)
          const own = candidate.id === recommendation?.candidate.id
          return [
            `${own ? '**' : ''}${settingText(candidate, report)}${own ? '**' : ''}${pareto ? ' (Pareto)' : ''}`,
            rate(capacity.value),
            rangeText(capacity, rate),
            last && last.aloneUs > 0 ? time(last.aloneUs) : '–',
            last?.cpuUs === undefined ? '–' : time(last.cpuUs),
            last && last.peakRssMb > 0 ? `${last.peakRssMb} MB` : '–',
            `${rung + 1} of ${search.rungs.length}`,
            dropped ?? (own ? 'recommended' : 'a finalist'),
          ]
        }),
      ),
    ),
    recommendation?.verified &&
      section(
        `The recommended setting at ${rate(recommendation.verified.rate)}`,
        grid(
          ['run', 'requests', 'p50', 'p95', 'p99', 'p99.9', 'answers', 'within the contract'],
          recommendation.verified.runs.map((run, i) => [
            String(i + 1),
            String(run.sent),
            latency(run.p50Us),
            latency(run.p95Us),
            latency(run.p99Us),
            latency(run.p999Us),
            rate(run.throughput),
            rate(run.goodput),
          ]),
        ),
      ),
    report.leftOut.length > 0 &&
      section('Not measured', list(report.leftOut.map(({ what, why }) => `${what}: ${why}`))),
    report.notes.length > 0 && section('Notes', list(report.notes)),
    section(
      'How and on what',
      list([
        `${machine.cpu}, ${counted(machine.cpus, 'CPU')}, ${figure(machine.memoryGiB)} GiB, ${machine.os}, Node.js ${machine.node}, subten ${machine.subten}`,
        `open loop, Poisson arrivals, each measurement in a process of its own; seed ${report.seed}; ${moment(report.at)}`,
        `stages: ${search.rungs.map(({ candidates, seconds, repeats }) => `${counted(candidates, 'setting')} of ${seconds} s${repeats > 1 ? `, ${repeats} times` : ''}`).join('; ')}; ${stretch(search.spentSeconds * 1000)} in all, the full grid ${stretch(search.gridSeconds * 1000)}`,
        `held-out data: ${data === undefined ? 'none' : `${data.path}, ${counted(data.rows, 'row')}`}`,
      ]),
    ),
  ]
  return `${parts.filter((part) => typeof part === 'string' && part !== '').join('\n\n')}\n`
}

/** The short form, for a terminal. */
export function optimizeText(report: OptimizeReport): string {
  const { title, says } = headlineOf(report)
  const { first, batching, quantisation } = report.sentences
  return [title, ...says, ...first, ...batching, ...quantisation, ...report.notes].join('\n')
}

const latency = (us: number): string => (us >= 3_600e6 ? 'not answered' : time(us))
const points = (share: number): string =>
  `${share > 0 ? '+' : share < 0 ? '−' : ''}${Math.abs(Number((100 * share).toFixed(2)))}`
const section = (title: string, content: string): string => (content === '' ? '' : `## ${title}\n\n${content}`)
const list = (all: readonly string[]): string => all.map((each) => `- ${text(each)}`).join('\n')

function grid(head: readonly string[], rows: readonly (readonly string[])[]): string {
  if (rows.length === 0) return ''
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => text(cell).replaceAll('|', '\\|')).join(' | ')} |`
  return [line(head), `|${head.map(() => '---').join('|')}|`, ...rows.map(line)].join('\n')
}

/** Names of models and messages of engines must not become markup. */
function text(content: string): string {
  return content.replaceAll(/[\r\n]+/g, ' ').replaceAll('<', '&lt;')
}
