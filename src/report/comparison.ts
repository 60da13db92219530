import type { Comparison, Difference } from '../profile/report-types.js'
import { whisker } from './bars.js'
import { card, chip, noteList, type Tone } from './frame.js'
import { type Html, html } from './html.js'
import { counted, figure, percent, time } from './quantities.js'

/** Ratios beyond that are drawn at the edge. */
const WIDEST = 4

/** Two builds figure by figure, each ratio with its interval drawn on one scale. */
export function comparisonCard(comparison: Comparison): Html {
  const { differences, how, rounds, confidence } = comparison
  const real = differences.filter((difference) => difference.real)
  // Made for the figures, and for the intervals of those that are real: one that knows nothing must not flatten the rest.
  const ends = differences.flatMap(({ ratio, real }) => (real ? [ratio.low, ratio.high] : [ratio.value]))
  const reach = Math.min(WIDEST, 1.15 * Math.max(1.1, ...ends.map(far)))
  const at = (ratio: number): number => 0.5 + (0.48 * Math.log(Math.max(ratio, 1e-9))) / Math.log(reach)
  const lead =
    real.length === 0
      ? 'No difference that is both large enough and sure enough to report.'
      : `${counted(real.length, 'difference')} real: ${real
          .slice(0, 6)
          .map(({ what, verdict, ratio }) => `${what} ${verdict} (${figure(ratio.value)}×)`)
          .join(', ')}${real.length > 6 ? ', …' : ''}.`
  const facts = how === 'interleaved' ? `${counted(rounds, 'round')} in turns` : 'a report of another time'
  return card(
    'comparison',
    'Compared with another build',
    html`<b>${lead}</b>`,
    html`<p class="soft">before: <b>${comparison.before}</b> · after: <b>${comparison.after}</b> · ${facts} · intervals of ${percent(confidence)}</p>
${
  differences.length > 0 &&
  html`<div class="scroll"><table class="numbers comparison">
<thead><tr><th>figure</th><th></th><th>ratio</th><th class="wide">÷ ${figure(reach)} … same … × ${figure(reach)}</th><th>interval</th><th>before</th><th>after</th></tr></thead>
<tbody>${differences.map((difference) => row(difference, at))}</tbody></table></div>
<p class="soft">The ratio is after ÷ before. Real means: at least 5 % apart (outside the band), and the interval does not hold 1. “Same” means: the whole interval lies within the band. “Unclear” means neither: more rounds would tell.</p>`
}
${comparison.notes.length > 0 && noteList(comparison.notes)}`,
  )
}

const far = (ratio: number): number => (ratio > 0 && Number.isFinite(ratio) ? Math.max(ratio, 1 / ratio) : WIDEST)

function row(difference: Difference, at: (ratio: number) => number): Html {
  const { what, unit, before, after, ratio, real, verdict } = difference
  const value = (of: number): string =>
    unit === 'µs' ? time(of) : unit === '1/s' ? `${figure(of)}/s` : `${figure(of)} ${unit}`
  const tone = toneOf(difference)
  const says = `${what}: ${figure(ratio.value)} times, from ${figure(ratio.low)} to ${figure(ratio.high)}`
  const marks = [
    { value: 1 / 1.05, kind: 'edge' },
    { value: 1.05, kind: 'edge' },
    { value: 1, kind: 'one' },
  ] as const
  return html`<tr${real && html` class="real"`}><th>${what}</th><td>${chip(tone, verdict)}</td><td><b>${times(ratio.value)}</b></td><td class="wide">${whisker(ratio, at, tone === 'plain' ? 'soft' : tone, marks, says)}</td><td class="soft">${times(ratio.low)} to ${times(ratio.high)}</td><td>${value(before)}</td><td>${value(after)}</td></tr>`
}

const times = (ratio: number): string =>
  Number.isFinite(ratio) ? `${ratio < 10 ? ratio.toFixed(3) : figure(ratio)}×` : '–'

/** `higher` and `lower` say which way, and of processor time less is better. */
function toneOf({ real, verdict }: Difference): Tone {
  if (!real) return 'plain'
  return verdict === 'slower' || verdict === 'higher' ? 'bad' : 'good'
}
