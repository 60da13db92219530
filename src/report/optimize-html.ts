import type { CandidateResult, Figures, OptimizeReport, TrialFigures, VariantVerdict } from '../optimize/types.js'
import type { Estimate } from '../profile/report-types.js'
import { whisker } from './bars.js'
import { Charts } from './charts.js'
import { documentOf } from './document.js'
import { banner, card, chip, facts, masthead, noteList, tile } from './frame.js'
import { type Content, type Html, html } from './html.js'
import { curveCards, heatCards, scatterCard } from './optimize-charts.js'
import { headlineOf, settingText } from './optimize-words.js'
import { count, counted, figure, moment, percent, rate, stretch, time } from './quantities.js'
import { stageBreakdown } from './stages.js'

/** Candidates of a table that are shown; more are folded. */
const SHOWN = 24

/**
 * What a search for the best setting found, as one HTML file that needs no network and runs nothing but its own script.
 *
 * @returns the text of the file, UTF-8
 */
export function optimizeHtml(report: OptimizeReport): string {
  const charts = new Charts()
  const { recommendation, slo, model, machine } = report
  const body = html`<main>
${masthead('optimisation', model, html`p99 within ${time(slo.limitUs)} · ${machine.cpu}, ${counted(machine.cpus, 'CPU')} · ${moment(report.at)}`)}
${verdict(report)}
${headline(report)}
${saying(report)}
${curveCards(report, charts)}
${scatterCard(report, charts)}
${heatCards(report)}
${variantCard(report.variants)}
${candidateCard(report)}
${stageCards(report)}
${recommendation?.verified && verifiedCard(report)}
${report.leftOut.length > 0 && card('left-out', 'Not measured', '', noteList(report.leftOut.map(({ what, why }) => `${what}: ${why}`)))}
${report.notes.length > 0 && card('notes', 'Read this with the figures', '', noteList(report.notes))}
${methodCard(report)}
</main>
<footer><p>Made by subten ${machine.subten}. Requests come as a Poisson process that does not wait for answers; latency counts from the time at which a request was meant to be sent.</p></footer>`
  return documentOf(`${model}, optimisation`, body, charts.all)
}

function verdict(report: OptimizeReport): Html {
  const { title, says, tone } = headlineOf(report)
  return banner(tone, title, html`${says.map((text) => html`<p>${text}</p>`)}`)
}

function headline(report: OptimizeReport): Content {
  const { recommendation, gain, variants, results } = report
  if (recommendation === undefined) return undefined
  const { capacity, candidate, verified } = recommendation
  const own = results.find(({ candidate: { id } }) => id === candidate.id)
  const last = own && lastFigures(own)
  const accuracy = variants.find(
    ({ variant, engine }) => variant === candidate.variant && engine === candidate.engine,
  )?.accuracy
  return html`<dl class="tiles">
${tile('capacity within the contract', rate(capacity.value), rangeText(capacity, rate))}
${
  gain &&
  tile(
    'of the best without batching',
    `${gain.ratio.value.toFixed(2)}×`,
    rangeText(gain.ratio, (ratio) => `${ratio.toFixed(2)}×`),
  )
}
${verified && verified.runs.length > 0 && tile(`p99 at ${rate(verified.rate)}`, time(Math.max(...verified.runs.map(({ p99Us }) => p99Us))), `the highest of ${verified.runs.length}`)}
${accuracy?.top1 && tile('top-1 accuracy', percent(accuracy.top1.value), rangeText(accuracy.top1, percent))}
${last?.cpuUs !== undefined && tile('CPU a request', time(last.cpuUs), 'of the serving process')}
${last && tile('peak memory', `${count(last.peakRssMb)} MB`, 'of the whole process')}
</dl>`
}

function saying({ sentences }: OptimizeReport): Content {
  const { first, batching, quantisation } = sentences
  if (first.length + batching.length + quantisation.length === 0) return undefined
  const list = (title: string, all: readonly string[]): Content =>
    all.length > 0 && html`<h3>${title}</h3><ul class="say">${all.map((text) => html`<li>${text}</li>`)}</ul>`
  return card(
    'trade-offs',
    'What buys what, and which to take first',
    '',
    html`<ul class="say first">${first.map((text) => html`<li>${text}</li>`)}</ul>
${list('Batching', batching)}
${list('Quantisation', quantisation)}`,
  )
}

function variantCard(variants: readonly VariantVerdict[]): Content {
  const known = variants.flatMap(({ accuracy }) => (accuracy?.top1 ? [accuracy.top1] : []))
  const [low, high] = [Math.min(1, ...known.map((each) => each.low)), Math.max(0, ...known.map((each) => each.high))]
  const room = Math.max(0.002, (high - low) * 0.1)
  const at = (share: number): number => (share - low + room) / (high - low + 2 * room)
  const row = ({ variant, engine, precision, base, accuracy, refused, bytes }: VariantVerdict): Html => {
    const { top1, top5, against } = accuracy ?? {}
    const state =
      base && refused === undefined
        ? chip('plain', 'the model')
        : refused === undefined
          ? chip('good', 'may be taken')
          : chip('bad', 'refused')
    return html`<tr><td class="state">${state}</td><th class="setting">${variant}<br><span class="soft">${precision}, ${engine}</span></th><td>${top1 ? percent(top1.value) : '–'}</td>${known.length > 0 && html`<td class="wide">${top1 && whisker(top1, at, refused === undefined ? 'accent' : 'bad', [], `top-1 ${percent(top1.value)}, ${rangeText(top1, percent)}`)}</td>`}<td>${top5 ? percent(top5.value) : '–'}</td><td>${against?.difference ? `${points(against.difference.value)} [${rangeText(against.difference, points)}]` : '–'}</td><td>${against?.agreement ? percent(against.agreement.value) : '–'}</td><td>${bytes > 0 ? `${figure(bytes / 1024)} KiB` : '–'}</td></tr>`
  }
  const reasons = variants.flatMap(({ variant, engine, refused, caution }) => {
    const why = refused ?? caution
    return why === undefined ? [] : [`${variant} on ${engine}: ${why}`]
  })
  return card(
    'variants',
    'Variants and their accuracy',
    'On held-out data, with 95 % intervals; the difference is paired, row by row.',
    html`<div class="scroll"><table class="numbers"><thead><tr><th></th><th>variant</th><th>top-1</th>${known.length > 0 && html`<th class="wide">${percent(Math.max(0, low))} … ${percent(high)}</th>`}<th>top-5</th><th>difference, points</th><th>same class</th><th>files</th></tr></thead><tbody>${variants.map(row)}</tbody></table></div>
${reasons.length > 0 && noteList(reasons)}`,
  )
}

const points = (share: number): string =>
  `${share > 0 ? '+' : share < 0 ? '−' : ''}${Math.abs(Number((100 * share).toFixed(2)))}`

function candidateCard(report: OptimizeReport): Html {
  const order = [...report.results].sort((a, b) => b.rung - a.rung || b.capacity.value - a.capacity.value)
  const most = Math.max(1, ...order.map(({ capacity }) => capacity.high))
  const chosen = report.recommendation?.candidate.id
  const stages = report.search.rungs.length
  const row = (result: CandidateResult): Html => {
    const { candidate, capacity, rung, finalist, dropped, pareto } = result
    const last = lastFigures(result)
    const p99 = last && nearest(last, capacity.value)
    const own = candidate.id === chosen
    const tone = own ? 'good' : finalist ? 'accent' : 'soft'
    const says = `${rate(capacity.value)}, ${rangeText(capacity, rate)}`
    return html`<tr${own && html` class="real"`}><th class="setting">${settingText(candidate, report)}${own && html` ${chip('good', 'recommended')}`}${pareto && html` ${chip('plain', 'Pareto')}`}</th><td>${rate(capacity.value)}</td><td class="wide">${whisker(capacity, (value) => value / most, tone, [], says)}</td><td>${last && last.aloneUs > 0 ? time(last.aloneUs) : '–'}</td><td>${p99 ? time(p99.p50Us) : '–'}</td><td>${last?.meanBatch === undefined ? '–' : last.meanBatch.toFixed(1)}</td><td>${last?.cpuUs === undefined ? '–' : time(last.cpuUs)}</td><td>${last && last.peakRssMb > 0 ? `${last.peakRssMb} MB` : '–'}</td><td>${rung + 1} of ${stages}</td><td class="text">${dropped ?? (own ? '' : 'a finalist')}</td></tr>`
  }
  const table = (all: readonly CandidateResult[]): Html =>
    html`<div class="scroll"><table class="numbers"><thead><tr><th>setting</th><th>capacity</th><th class="wide">0 … ${rate(most)}</th><th>alone</th><th>p50 near it</th><th>rows a batch</th><th>CPU</th><th>memory</th><th>stage</th><th class="text">dropped, since</th></tr></thead><tbody>${all.map(row)}</tbody></table></div>`
  const rest = order.slice(SHOWN)
  return card(
    'settings',
    'Every setting that was measured',
    html`Capacity is the highest rate at which p99 stays within the contract. Pareto: no other finalist is better in accuracy, capacity, memory or processor time without being worse in another.`,
    html`${table(order.slice(0, SHOWN))}
${rest.length > 0 && html`<details class="run"><summary>${counted(rest.length, 'more setting')}</summary>${table(rest)}</details>`}`,
  )
}

function nearest({ trials }: Figures, capacity: number): TrialFigures | undefined {
  return [...trials].sort((a, b) => Math.abs(a.rate - capacity) - Math.abs(b.rate - capacity))[0]
}

/** Of the last repeat of its last stage. */
function lastFigures({ figures }: CandidateResult): Figures | undefined {
  return figures.at(-1)
}

function stageCards(report: OptimizeReport): Content {
  const { recommendation, baseline, results } = report
  const ids = [...new Set([recommendation?.candidate.id, baseline?.id])]
  const parts = ids.flatMap((id): Content[] => {
    const result = results.find(({ candidate }) => candidate.id === id)
    const stages = result?.figures.at(-1)?.stagesUs
    if (result === undefined || stages === undefined) return []
    const title = id === recommendation?.candidate.id ? 'Recommended' : 'The model without batching'
    return [html`<h3>${title}: ${settingText(result.candidate, report)}</h3>${stageBreakdown(stages)}`]
  })
  return (
    parts.length > 0 &&
    card('stages', 'Where the time of a request goes', 'At the highest rate that kept the contract.', html`${parts}`)
  )
}

function verifiedCard({ recommendation, slo }: OptimizeReport): Content {
  const verified = recommendation?.verified
  if (verified === undefined) return undefined
  const { runs, kept, rate: at } = verified
  const row = (run: TrialFigures, i: number): Html =>
    html`<tr><td class="state">${run.p99Us <= slo.limitUs ? chip('good', 'kept') : chip('bad', 'missed')}</td><th>run ${i + 1}</th><td>${count(run.sent)}</td><td>${time(run.p50Us)}</td><td>${time(run.p95Us)}</td><td><b>${latency(run.p99Us)}</b></td><td>${run.p99 ? rangeText(run.p99, time) : ''}</td><td>${latency(run.p999Us)}</td><td>${rate(run.throughput)}</td><td>${rate(run.goodput)}</td><td>${run.cpuUs === undefined ? '–' : time(run.cpuUs)}</td></tr>`
  return card(
    'verified',
    `The recommended setting at ${rate(at)}`,
    `${kept} of ${counted(runs.length, 'run')} kept the contract, each in a process of its own.`,
    html`<div class="scroll"><table class="numbers"><thead><tr><th></th><th></th><th>requests</th><th>p50</th><th>p95</th><th>p99</th><th>95 % interval</th><th>p99.9</th><th>answers</th><th>within the contract</th><th>CPU a request</th></tr></thead><tbody>${runs.map(row)}</tbody></table></div>`,
  )
}

const latency = (us: number): string => (us >= 3_600e6 ? 'not answered' : time(us))

function methodCard(report: OptimizeReport): Html {
  const { machine, search, seed, data, slo } = report
  const { rungs, spentSeconds, gridSeconds, repeats, resumed } = search
  const stages = rungs.map(
    ({ candidates, seconds, repeats: times }, i) =>
      `${i + 1}: ${counted(candidates, 'setting')}, ${seconds} s each${times > 1 ? `, ${times} times in turns` : ''}`,
  )
  return card(
    'method',
    'How this was measured, and on what',
    '',
    facts([
      ['load', 'open loop, Poisson arrivals, each measurement in a process of its own'],
      [
        'capacity',
        `p99 of all that was sent within ${time(slo.limitUs)}; refused and failed requests count as never answered`,
      ],
      ['stages', stages.join('; ')],
      [
        'intervals',
        `95 %, over ${counted(repeats, 'repeat')} (Student's t on logarithms; from six on Wilcoxon's signed ranks)`,
      ],
      [
        'time',
        `${stretch(spentSeconds * 1000)}; the full grid would take ${stretch(gridSeconds * 1000)}${resumed > 0 ? `; ${counted(resumed, 'measurement')} came from an earlier start` : ''}`,
      ],
      [
        'data',
        data === undefined
          ? 'none'
          : `${data.path}, ${counted(data.rows, 'row')}${data.labelled ? '' : ', without labels'}, SHA-256 ${data.sha256.slice(0, 12)}…`,
      ],
      ['processor', `${machine.cpu}, ${counted(machine.cpus, 'CPU')}`],
      ['memory', `${figure(machine.memoryGiB)} GiB`],
      ['system', machine.os],
      ['Node.js', machine.node],
      ['subten', machine.subten],
      ['seed', String(seed)],
      ['made', moment(report.at)],
      ['format', report.schema],
    ]),
  )
}

/** `4.1 to 4.6 ms`; one measurement has none. */
export function rangeText({ value, low, high }: Estimate, text: (value: number) => string): string {
  if ((low === value && high === value) || !Number.isFinite(high)) return 'measured once'
  return `${text(low)} to ${text(high)}`
}
