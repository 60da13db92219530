import { loadText } from '../profile/load-plan.js'
import type { Percentile, ProfileReport, ProfileRun } from '../profile/report-types.js'
import { tile } from './frame.js'
import { type Content, html } from './html.js'
import { count, counted, figure, percent, rate, time } from './quantities.js'

/** The few figures that a reader takes along. */
export function headline(report: ProfileReport): Content {
  const { search, mlperf } = report
  const [run] = report.runs
  if (search) {
    return tiles([
      tile(`highest rate with ${search.percentile} within ${time(search.limitUs)}`, rate(search.rate), spread(search)),
      tile(
        'steps',
        count(search.steps.length),
        `${counted(search.steps.filter((step) => step.ok).length, 'step')} within the limit`,
      ),
    ])
  }
  if (mlperf) {
    const { name, value, unit } = mlperf.metric
    return tiles([
      tile(name, unit === 'µs' ? time(value) : `${figure(value)} ${unit}`, `MLPerf ${mlperf.scenario}`),
      ...(run ? runTiles(run).slice(0, 3) : []),
    ])
  }
  // The best of several processes would be luck; what they say together is in a table of its own.
  if (!run || report.repeated) return undefined
  if (report.runs.length === 1) return tiles(runTiles(run), run.schedule?.kept === false)
  const kept = report.runs.filter((each) => each.schedule?.kept !== false && each.requests.succeeded > 0)
  const fastest = most(kept, (each) => each.throughput)
  const quickest = most(kept, (each) => -(known(each.latencyUs.p99) ?? Number.POSITIVE_INFINITY))
  return tiles([
    tile(
      'runs',
      count(report.runs.length),
      `${counted(
        report.runs.reduce((sum, each) => sum + each.requests.sent, 0),
        'request',
      )}`,
    ),
    fastest && tile('most answers', rate(fastest.throughput), fastest.label),
    quickest &&
      known(quickest.latencyUs.p99) !== undefined &&
      tile('lowest p99', time(known(quickest.latencyUs.p99) as number), quickest.label),
  ])
}

const tiles = (all: readonly Content[], invalid = false): Content =>
  html`<dl class="tiles${invalid && ' invalid'}">${all}</dl>`

const spread = ({ low, high }: { low: number; high: number }): string => `${rate(low)} to ${rate(high)} when repeated`

function runTiles(run: ProfileRun): Content[] {
  const { requests, latencyUs } = run
  const bad = requests.sent - requests.succeeded - requests.aborted
  return [
    tile('answers', rate(run.throughput), loadText(run.load)),
    run.goodput !== undefined &&
      run.goodWithinUs !== undefined &&
      tile(
        `within ${time(run.goodWithinUs)}`,
        rate(run.goodput),
        run.throughput > 0 ? `${percent(run.goodput / run.throughput)} of the answers` : undefined,
      ),
    tile('p50', percentileText(latencyUs.p50), interval(latencyUs.p50)),
    tile('p99', percentileText(latencyUs.p99), interval(latencyUs.p99)),
    tile('p99.9', percentileText(latencyUs.p999), interval(latencyUs.p999)),
    tile('bad', requests.sent > 0 ? percent(bad / requests.sent) : '–', `${count(bad)} of ${count(requests.sent)}`),
    run.cpuUsPerRequest !== undefined && tile('CPU a request', time(run.cpuUsPerRequest), 'of the serving process'),
  ]
}

export const known = (percentile: Percentile): number | undefined =>
  'value' in percentile ? percentile.value : undefined

export const percentileText = (percentile: Percentile): string =>
  'value' in percentile ? time(percentile.value) : 'too few'

/** The interval, or what it would take to have one. */
export function interval(percentile: Percentile): string {
  if ('value' in percentile) return between(percentile.low, percentile.high)
  return `needs ${counted(percentile.needs, 'more request', 'more requests')}`
}

/** `1.25–1.27 ms`, the unit once where it is the same. */
function between(low: number, high: number): string {
  const [from, to] = [time(low), time(high)]
  const [number, unit] = from.split(' ')
  return to.endsWith(` ${unit}`) ? `${number}–${to}` : `${from} – ${to}`
}

function most<T>(all: readonly T[], of: (each: T) => number): T | undefined {
  return all.reduce<T | undefined>((best, each) => (best === undefined || of(each) > of(best) ? each : best), undefined)
}
