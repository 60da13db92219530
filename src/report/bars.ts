import { type Html, html } from './html.js'
import { time } from './quantities.js'

/** A part of a bar. */
export interface BarPart {
  readonly name: string
  readonly value: number
  /** A colour of report.css: a stage or a cause. */
  readonly color: string
  /** Shown when the pointer rests on it. */
  readonly says: string
}

/**
 * Parts side by side, as SVG whose numbers are attributes: the document's policy forbids style attributes, and a bar
 * shows without any script, on paper too.
 *
 * @param whole what the full width stands for; by default the sum of the parts
 */
export function bar(parts: readonly BarPart[], whole?: number): Html {
  const all = whole ?? parts.reduce((sum, part) => sum + part.value, 0)
  let from = 0
  const boxes = parts.map((part) => {
    const width = all > 0 ? (100 * Math.max(0, part.value)) / all : 0
    const box = html`<rect x="${place(from)}%" width="${place(width)}%" height="100%" class="f-${part.color}"><title>${part.says}</title></rect>`
    from += width
    return box
  })
  const says = parts.map((part) => part.says).join(', ')
  return html`<svg class="bar" role="img" aria-label="${says}"><rect width="100%" height="100%" class="f-track"/>${boxes}</svg>`
}

/** How much of something: `share` of the full width. */
export function meter(share: number, color: string, says: string): Html {
  return bar([{ name: '', value: Math.min(1, Math.max(0, share)), color, says }], 1)
}

/** An estimate and its interval on a scale that its neighbours share. */
export interface Whisker {
  readonly value: number
  readonly low: number
  readonly high: number
}

/**
 * Draws an interval: a line from low to high, a dot at the value, lines at `marks`. What lies beyond the scale is cut off
 * at its edge.
 *
 * @param at gives the place of a value, 0 to 1
 */
export function whisker(
  { value, low, high }: Whisker,
  at: (value: number) => number,
  color: string,
  marks: readonly { readonly value: number; readonly kind: 'one' | 'edge' }[],
  says: string,
): Html {
  const x = (of: number): string => `${place(100 * Math.min(0.985, Math.max(0.015, at(of))))}%`
  return html`<svg class="whisker" role="img" aria-label="${says}"><title>${says}</title>${marks.map(
    (mark) => html`<line x1="${x(mark.value)}" x2="${x(mark.value)}" y1="0" y2="100%" class="mark-${mark.kind}"/>`,
  )}<line x1="${x(low)}" x2="${x(high)}" y1="50%" y2="50%" class="reach s-${color}"/><circle cx="${x(value)}" cy="50%" r="4.5" class="f-${color}"/></svg>`
}

/** Names and values of a bar's parts, for those who cannot tell its colours. */
export function legend(parts: readonly BarPart[]): Html {
  return html`<ul class="legend">${parts.map(
    (part) => html`<li><i class="key-box c-${part.color}"></i>${part.name} <b>${time(part.value)}</b></li>`,
  )}</ul>`
}

const place = (value: number): number => Number(value.toFixed(3))
