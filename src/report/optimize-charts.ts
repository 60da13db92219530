import { isotonic } from '../optimize/capacity.js'
import type { CandidateResult, OptimizeReport, TrialFigures, VariantVerdict } from '../optimize/types.js'
import type { Charts, CurveLine, ScatterPoint } from './charts.js'
import { card } from './frame.js'
import { type Content, type Html, html, visible } from './html.js'
import { batchingShort, workersShort } from './optimize-words.js'
import { figure, percent, rate, time } from './quantities.js'
import { short } from './thin-series.js'

/** Lines of a chart that can be told apart. */
const LINES = 6
/** What lies so many limits beyond the contract is not drawn higher. */
const HIGHEST = 3

/** p99 against the offered rate, a line a batching setting; a chart for the model and for each variant that may be taken. */
export function curveCards(report: OptimizeReport, charts: Charts): Content {
  const variants = [
    ...new Set(
      report.variants.filter(({ refused, base }) => base || refused === undefined).map(({ variant }) => variant),
    ),
  ]
  const parts = variants.flatMap((variant): Html[] => {
    const lines = bestByBatching(report.results.filter(({ candidate }) => candidate.variant === variant))
      .slice(0, LINES)
      .map((result) => curveOf(result, report.slo.limitUs))
      .filter(({ x }) => x.length > 1)
    if (lines.length === 0) return []
    const key = lines.map(({ label }, i) => ({ name: label, color: `line-${i + 1}` }))
    return [
      charts.add(
        { kind: 'curves', lines, limitUs: report.slo.limitUs },
        `${visible(variant)}: p99 against the rate`,
        `${lines.length} settings.`,
        key,
      ),
    ]
  })
  if (parts.length === 0) return undefined
  return card(
    'curves',
    'Throughput and latency by batching',
    'For each batching setting the instances and threads that served it best. Where a line crosses the contract is its capacity. Lines are fitted so that they do not fall.',
    html`${parts}`,
  )
}

/** Of each batching setting the result that came furthest, best first. */
function bestByBatching(results: readonly CandidateResult[]): CandidateResult[] {
  const best = new Map<string, CandidateResult>()
  for (const result of [...results].sort((a, b) => b.rung - a.rung || b.capacity.value - a.capacity.value)) {
    const name = batchingShort(result.candidate)
    if (!best.has(name)) best.set(name, result)
  }
  return [...best.values()]
}

function curveOf({ candidate, figures }: CandidateResult, limitUs: number): CurveLine {
  const trials = figures.flatMap((each) => each.trials).filter((trial) => trial.invalid === undefined && trial.sent > 0)
  const all = merged(trials)
  // One point beyond the top of the chart shows where the line goes; more would only make the rest small.
  const beyond = all.findIndex(({ us }) => us > HIGHEST * limitUs)
  const sorted = beyond < 0 ? all : all.slice(0, beyond + 1)
  const fitted = isotonic(
    sorted.map(({ us }) => Math.log(Math.min(us, HIGHEST * limitUs))),
    sorted.map(({ weight }) => weight),
  )
  return {
    label: visible(`${batchingShort(candidate)} · ${workersShort(candidate)}`),
    x: sorted.map(({ at }) => short(at)),
    us: fitted.map((log) => short(Math.exp(log))),
  }
}

/** Runs at nearly the same rate are one point. */
function merged(trials: readonly TrialFigures[]): { at: number; us: number; weight: number }[] {
  const points: { at: number; us: number; weight: number }[] = []
  for (const { rate: at, p99Us: us, sent: weight } of [...trials].sort((a, b) => a.rate - b.rate)) {
    const last = points.at(-1)
    if (last === undefined || at > 1.02 * last.at) points.push({ at, us, weight })
    else {
      const all = last.weight + weight
      last.us = Math.exp((Math.log(Math.max(1, last.us)) * last.weight + Math.log(Math.max(1, us)) * weight) / all)
      last.weight = all
    }
  }
  return points
}

/** Accuracy against the latency of a lone request, each variant a point with its intervals. */
export function scatterCard({ variants, results, recommendation }: OptimizeReport, charts: Charts): Content {
  const points = variants.flatMap((verdict): ScatterPoint[] =>
    pointOf(verdict, results, recommendation?.candidate.variant),
  )
  if (points.length === 0) return undefined
  const chart = charts.add(
    { kind: 'scatter', points },
    'top-1 against the median latency of a lone request',
    points.map(({ label, y, x }) => `${label}: ${percent(y / 100)}, ${time(x)}`).join('; '),
    [
      { name: 'recommended', color: 'good', shape: 'dot' },
      { name: 'may be taken', color: 'accent', shape: 'dot' },
      { name: 'refused', color: 'bad', shape: 'dot' },
    ],
  )
  return card(
    'accuracy-latency',
    'Accuracy and latency',
    'Up and to the left is better. Bars are 95 % intervals of accuracy, and what latency was in repeats.',
    chart,
  )
}

function pointOf(
  { variant, engine, accuracy, refused }: VariantVerdict,
  results: readonly CandidateResult[],
  chosen: string | undefined,
): ScatterPoint[] {
  const top1 = accuracy?.top1
  const own = results.filter(
    ({ candidate }) =>
      candidate.variant === variant && candidate.engine === engine && candidate.batching.kind === 'off',
  )
  const times = own
    .map(({ figures }) => figures.map(({ aloneUs }) => aloneUs).filter((us) => us > 0))
    .filter((each) => each.length > 0)
    .sort((a, b) => (a[0] as number) - (b[0] as number))
  // Of the settings that were measured most, the one with the shortest median.
  const most = Math.max(0, ...times.map((each) => each.length))
  const [alone] = times.filter((each) => each.length === most).map((each) => [...each].sort((a, b) => a - b))
  if (top1 === undefined || alone === undefined) return []
  return [
    {
      label: visible(variant),
      x: alone[alone.length >> 1] as number,
      xLow: alone[0] as number,
      xHigh: alone.at(-1) as number,
      y: 100 * top1.value,
      yLow: 100 * top1.low,
      yHigh: 100 * top1.high,
      color: variant === chosen ? 'good' : refused === undefined ? 'accent' : 'bad',
    },
  ]
}

interface Cell {
  readonly row: string
  readonly column: string
  readonly value: number
  readonly says: string
}

/** Goodput by batch size and delay, and by batching and instances: the best of the other settings in each cell. */
export function heatCards(report: OptimizeReport): Content {
  const variants = [
    ...new Set(
      report.variants.filter(({ refused, base }) => base || refused === undefined).map(({ variant }) => variant),
    ),
  ]
  const parts = variants.flatMap((variant): Html[] => {
    const own = report.results.filter(({ candidate }) => candidate.variant === variant)
    const byDelay = own.flatMap((result): Cell[] => {
      const { batching } = result.candidate
      const row = batching.kind === 'off' ? '1' : String(batching.maxBatch)
      const column =
        batching.kind === 'off'
          ? 'off'
          : batching.kind === 'slo'
            ? 'deadline-aware'
            : batching.delayUs === 0
              ? 'no delay'
              : time(batching.delayUs)
      return [{ row, column, ...goodputOf(result, report) }]
    })
    const byWorkers = own.map(
      (result): Cell => ({
        row: batchingShort(result.candidate),
        column: workersName(result.candidate),
        ...goodputOf(result, report),
      }),
    )
    return [
      html`<div class="pair"><div><h3>${variant}: batch size and delay</h3>${heatMap('rows', byDelay)}</div><div><h3>${variant}: batching, and instances × threads</h3>${heatMap('instances × threads', byWorkers)}</div></div>`,
    ]
  })
  const what =
    report.rate === undefined
      ? 'Answers a second within the contract, at the highest rate that keeps it.'
      : `Answers a second within the contract when ${rate(report.rate)} are asked for.`
  return (
    parts.length > 0 &&
    card(
      'goodput',
      'Goodput',
      `${what} Each cell is the best of the other settings; the frame is the best of the map. Settings that were dropped early were measured for a short time.`,
      html`${parts}`,
    )
  )
}

const workersName = ({ instances, threads }: CandidateResult['candidate']): string =>
  threads === 0 ? String(instances) : `${instances} × ${threads}`

function goodputOf(
  { figures, capacity }: CandidateResult,
  { rate: asked }: OptimizeReport,
): Pick<Cell, 'value' | 'says'> {
  const at = figures.at(-1)?.atRate
  const value = asked === undefined ? capacity.value : (at?.goodput ?? 0)
  return { value, says: rate(value) }
}

function heatMap(corner: string, cells: readonly Cell[]): Html {
  const names = (pick: (cell: Cell) => string): string[] => [...new Set(cells.map(pick))]
  const numbers = (a: string, b: string): number => Number(a) - Number(b)
  const rows = names(({ row }) => row)
  if (rows.every((row) => Number.isFinite(Number(row)))) rows.sort(numbers)
  const columns = names(({ column }) => column)
  const best = Math.max(0, ...cells.map(({ value }) => value))
  const cellOf = (row: string, column: string): Html => {
    const own = cells.filter((cell) => cell.row === row && cell.column === column)
    if (own.length === 0) return html`<td></td>`
    const value = Math.max(...own.map((cell) => cell.value))
    const step = best > 0 ? Math.min(9, Math.floor((10 * value) / best)) : 0
    return html`<td class="heat-${step}${value === best && best > 0 && ' heat-best'}">${figure(value)}</td>`
  }
  return html`<div class="scroll"><table class="heat"><thead><tr><th>${corner}</th>${columns.map((column) => html`<th>${column}</th>`)}</tr></thead><tbody>${rows.map(
    (row) => html`<tr><th>${row}</th>${columns.map((column) => cellOf(row, column))}</tr>`,
  )}</tbody></table></div>`
}
