import { type Html, html } from './html.js'

/** What src/report/page/report.js draws. Times in microseconds; lists of a chart have the same length. */
export type ChartData =
  /** Latency over time. */
  | {
      readonly kind: 'latency'
      readonly group: string
      readonly at: readonly number[]
      readonly p50: readonly (number | null)[]
      readonly p99: readonly (number | null)[]
      readonly max: readonly (number | null)[]
    }
  /** Requests a second over time. */
  | {
      readonly kind: 'rate'
      readonly group: string
      readonly at: readonly number[]
      readonly sent: readonly number[]
      readonly succeeded: readonly number[]
      readonly bad: readonly number[]
    }
  /** Percentile curves on an axis of log10(1 / (1 - p)), where each nine takes the same room. */
  | { readonly kind: 'percentiles'; readonly lines: readonly PercentileLine[] }
  /** Latency against throughput, a point a run. */
  | {
      readonly kind: 'throughput'
      readonly rate: readonly number[]
      readonly p50: readonly (number | null)[]
      readonly p99: readonly (number | null)[]
      readonly valid: readonly boolean[]
      readonly labels: readonly string[]
    }
  /** Steps of the search for a rate. */
  | {
      readonly kind: 'search'
      readonly percentile: string
      readonly rate: readonly number[]
      readonly us: readonly number[]
      readonly ok: readonly boolean[]
      readonly limitUs: number
      readonly found: number
    }
  /** Share of good events over time, percent, and the promise. */
  | {
      readonly kind: 'good'
      readonly group: string
      readonly at: readonly number[]
      readonly good: readonly (number | null)[]
      readonly target: number
    }
  /** Burn rate over time, and the rates at which alerts fire. */
  | {
      readonly kind: 'burn'
      readonly group: string
      readonly at: readonly number[]
      readonly burn: readonly (number | null)[]
      readonly alerts: readonly { readonly burnRate: number; readonly severity: 'page' | 'ticket' }[]
    }
  /** Latency against offered rate, a line a setting, and the limit. */
  | { readonly kind: 'curves'; readonly lines: readonly CurveLine[]; readonly limitUs: number }
  /** Accuracy, percent, against latency. */
  | { readonly kind: 'scatter'; readonly points: readonly ScatterPoint[] }

/** A line of a chart of curves: values at places of its own. */
export interface CurveLine {
  readonly label: string
  readonly x: readonly number[]
  readonly us: readonly number[]
}

/** A point with its intervals. */
export interface ScatterPoint {
  readonly label: string
  readonly x: number
  readonly xLow: number
  readonly xHigh: number
  readonly y: number
  readonly yLow: number
  readonly yHigh: number
  readonly color: 'good' | 'bad' | 'accent'
}

export interface PercentileLine {
  readonly label: string
  /** log10(1 / (1 - p)). */
  readonly x: readonly number[]
  readonly us: readonly number[]
  /** From here on fewer than ten samples were slower. */
  readonly thinFrom: number
}

/** The charts of a document; adding one gives its place in the page. */
export class Charts {
  readonly all: ChartData[] = []

  /** @param says what is to be seen, for those who do not see it */
  add(chart: ChartData, title: string, says: string, key: readonly KeyEntry[] = []): Html {
    const place = this.all.push(chart) - 1
    return html`<figure class="chart">
<figcaption><span class="chart-title">${title}</span>${key.length > 0 && html`<span class="key">${key.map(entry)}</span>`}</figcaption>
<div class="plot plot-${chart.kind}" data-chart="${place}" role="img" aria-label="${`${title}. ${says}`}"></div>
</figure>`
  }
}

export interface KeyEntry {
  readonly name: string
  /** One of the colours of report.css. */
  readonly color: string
  readonly shape?: 'line' | 'dash' | 'box' | 'dot' | 'ring'
}

const entry = ({ name, color, shape = 'line' }: KeyEntry): Html =>
  html`<span class="key-entry"><i class="key-${shape} c-${color}"></i>${name}<b data-series="${name}"></b></span>`
