import type { Explanation } from '../flight/types.js'
import type { SlaReport } from '../sla/types.js'
import { type BarPart, bar, legend, meter } from './bars.js'
import { chip } from './frame.js'
import { type Content, type Html, html } from './html.js'
import { counted, figure, moment, percent, time } from './quantities.js'
import { stageBreakdown } from './stages.js'

type ReportedModel = SlaReport['models'][number]

/** Slow requests that are shown at once, and in all: the slowest come first. */
const SHOWN = 10
const MOST = 300
/** Microseconds a millisecond of the request: parts below a hundredth cannot be seen in its bar. */
const LEGIBLE = 10

/** Where the time of a model's requests went, and of its slowest one by one. */
export function modelSection(
  { model, version, engine, stagesUs, blame, causes, slow }: ReportedModel,
  place: number,
): Html {
  return html`<section class="card long" id="model-${place + 1}">
<div class="card-head"><h2>Where the time went: ${model}</h2><span class="soft">version ${version}, engine ${engine}</span></div>
<p class="lead">${blame || 'Nothing was slow.'}</p>
${stageBreakdown(stagesUs)}
<h3>What made requests slow</h3>
${causeTable(causes)}
<h3>The slowest requests</h3>
${slowList(slow)}
</section>`
}

/** `kind` is for machines; this is for people. Kinds that are not here show as they are. */
const CAUSES: Readonly<Record<string, readonly [string, string]>> = {
  gc: ['garbage collection', 'wake'],
  'event-loop': ['event loop was busy', 'resolve'],
  'slow-batch': ['batch took longer than usual', 'max'],
  'cpu-contention': ['CPU taken by others', 'bad'],
  throttled: ['CPU quota used up', 'bad'],
  queue: ['waited for a free instance', 'queue'],
  'batching-delay': ['waited for a fuller batch', 'prepare'],
  'page-faults': ['pages not in memory', 'inbox'],
  host: ['whole machine stood still', 'inbox'],
  compute: ['computing as usual', 'compute'],
  unexplained: ['not explained', 'soft'],
}
const causeName = (kind: string): string => CAUSES[kind]?.[0] ?? kind
const causeColor = (kind: string): string => CAUSES[kind]?.[1] ?? 'soft'

function causeTable(causes: ReportedModel['causes']): Html {
  if (causes.length === 0) return html`<p class="soft">No slow request was kept.</p>`
  const sorted = [...causes].sort((a, b) => b.ms - a.ms)
  const all = sorted.reduce((sum, { ms }) => sum + ms, 0)
  const most = sorted[0]?.ms ?? 0
  return html`<div class="scroll"><table class="numbers"><thead><tr><th>cause</th><th class="wide"></th><th>time</th><th>share</th><th>requests</th></tr></thead><tbody>${sorted.map(
    ({ kind, ms, requests }) =>
      html`<tr><th>${causeName(kind)} <span class="means"><code>${kind}</code></span></th><td class="wide">${meter(most > 0 ? ms / most : 0, causeColor(kind), `${causeName(kind)} ${time(ms * 1000)}`)}</td><td>${time(ms * 1000)}</td><td>${all > 0 && percent(ms / all)}</td><td>${figure(requests)}</td></tr>`,
  )}</tbody></table></div>`
}

function slowList(slow: readonly Explanation[]): Html {
  if (slow.length === 0) return html`<p class="soft">No slow request was kept.</p>`
  // One scale for all: a bar half as long is a request half as slow.
  const slowest = slow.reduce((most, { totalMs }) => Math.max(most, totalMs), 0)
  const all = slow.slice(0, MOST)
  const item = (request: Explanation): Html => slowRequest(request, slowest)
  const left = slow.length - all.length
  return html`<p class="soft">All bars have one scale. Above: stages in their order. Below: causes, largest first.</p>
<ol class="slow-list">${all.slice(0, SHOWN).map(item)}</ol>
${all.length > SHOWN && html`<details><summary>${all.length - SHOWN} more</summary><ol class="slow-list" start="${SHOWN + 1}">${all.slice(SHOWN).map(item)}</ol></details>`}
${left > 0 && html`<p class="soft">and ${counted(left, 'request')} that were faster than these.</p>`}`
}

const OUTCOMES: Readonly<Record<Explanation['outcome'], 'plain' | 'bad' | 'warn'>> = {
  succeeded: 'plain',
  failed: 'bad',
  expired: 'bad',
  refused: 'bad',
  cancelled: 'warn',
}

function slowRequest(request: Explanation, slowest: number): Html {
  const stages = Object.entries(request.stages).flatMap(([name, ms]): BarPart[] =>
    name === 'total' || !(ms > 0) ? [] : [{ name, value: ms * 1000, color: name, says: `${name} ${time(ms * 1000)}` }],
  )
  const causes = request.causes.map(
    ({ kind, ms, detail }): BarPart => ({
      name: causeName(kind),
      value: ms * 1000,
      color: causeColor(kind),
      says: `${detail || causeName(kind)} ${time(ms * 1000)}`,
    }),
  )
  return html`<li class="slow"><p class="slow-head"><b>${time(request.totalMs * 1000)}</b> ${request.id !== '' ? html`<code>${request.id}</code>` : html`<span class="soft">no id</span>`} ${request.outcome !== 'succeeded' && chip(OUTCOMES[request.outcome], request.outcome)}<span class="soft">${moment(request.at)}</span></p>
<p>${request.text}</p>
${bar(stages, slowest * 1000)}
${causes.length > 0 && bar(causes, slowest * 1000)}
${legend(stages.filter(({ value }) => value >= request.totalMs * LEGIBLE))}
${batchText(request)}</li>`
}

function batchText({ batch }: Explanation): Content {
  if (!batch) return undefined
  const { number, rows, requests, reason, mates } = batch
  const named = mates.slice(0, 12)
  return html`<p class="soft">Batch ${number}: ${counted(rows, 'row')} of ${counted(requests, 'request')}, dispatched because: ${reason}.${named.length > 0 && html` With it: ${named.map((id, i) => html`${i > 0 && ', '}<code>${id}</code>`)}${mates.length > named.length && ` and ${mates.length - named.length} more`}.`}</p>`
}
