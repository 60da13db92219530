import type { StageSummaries, StageSummary } from '../runtime/stats.js'
import { type BarPart, bar } from './bars.js'
import { type Html, html } from './html.js'
import { percent, time } from './quantities.js'

/** What a stage is, for readers who have not read the manual. */
const MEANS: Readonly<Record<string, string>> = {
  inbox: 'submitted, not yet seen by the batcher',
  queue: 'waits for a batch or a free instance',
  prepare: 'inputs are gathered',
  compute: 'the engine runs',
  publish: 'outputs are handed over',
  wake: 'until the thread of the caller takes them',
  resolve: 'until its promise is resolved',
  tritonQueue: 'waits inside Triton',
  tritonInput: 'Triton reads inputs',
  tritonCompute: 'Triton runs the model',
  tritonOutput: 'Triton writes outputs',
  deviceInput: 'rows are copied to the device',
  deviceCompute: 'the device runs the model',
  deviceOutput: 'results are copied back',
}

const PARTS = ['inbox', 'queue', 'prepare', 'compute', 'publish', 'wake', 'resolve'] as const
const INSIDE = [
  'tritonQueue',
  'tritonInput',
  'tritonCompute',
  'tritonOutput',
  'deviceInput',
  'deviceCompute',
  'deviceOutput',
] as const

/** Where the time of a mean request went: a bar, and percentiles stage by stage. */
export function stageBreakdown(stages: StageSummaries): Html {
  const parts = PARTS.flatMap((name): BarPart[] => {
    const stage = stages[name] as StageSummary | undefined
    return stage && stage.count > 0 ? [part(name, stage)] : []
  })
  if (parts.length === 0) return html`<p class="soft">No request was seen stage by stage.</p>`
  const all = parts.reduce((sum, { value }) => sum + value, 0)
  const inside = INSIDE.filter((name) => (stages[name]?.count ?? 0) > 0)
  return html`${bar(parts)}
<div class="scroll"><table class="numbers">
<thead><tr><th>stage</th><th>mean</th><th>share</th><th>p50</th><th>p99</th><th>p99.9</th><th>max</th></tr></thead>
<tbody>${parts.map(({ name, value }) => row(name, stages[name as keyof StageSummaries], all > 0 ? value / all : 0))}</tbody>
${inside.length > 0 && html`<tbody class="inside"><tr><th colspan="7" class="soft">of which inside the engine</th></tr>${inside.map((name) => row(name, stages[name], undefined))}</tbody>`}
<tfoot>${row('total', stages.total, undefined)}</tfoot>
</table></div>`
}

function part(name: string, { mean }: StageSummary): BarPart {
  return { name, value: mean, color: name, says: `${name} ${time(mean)}` }
}

function row(name: string, stage: StageSummary | undefined, share: number | undefined): Html {
  if (!stage) return html``
  return html`<tr><th><i class="key-box c-${name}"></i>${name}${MEANS[name] && html` <span class="means">${MEANS[name]}</span>`}</th><td>${time(stage.mean)}</td><td>${share !== undefined && percent(share)}</td><td>${time(stage.p50)}</td><td>${time(stage.p99)}</td><td>${time(stage.p999)}</td><td>${time(stage.max)}</td></tr>`
}
