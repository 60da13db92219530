import type { Estimate } from '../profile/report-types.js'

/** Numbers as sentences have them. */
export function figureText(value: number): string {
  if (!Number.isFinite(value)) return 'any'
  const size = value === 0 ? 0 : Math.floor(Math.log10(Math.abs(value)))
  const digits = Math.max(0, 2 - size)
  return Number(value.toFixed(Math.min(digits, 6))).toLocaleString('en-US', {
    maximumFractionDigits: Math.min(digits, 6),
  })
}

export const rateText = (perSecond: number): string => `${figureText(perSecond)}/s`
export const ratioText = (ratio: number): string => (Number.isFinite(ratio) ? `${ratio.toFixed(2)}×` : '∞')

export function timeText(us: number): string {
  if (us >= 3_600e6) return 'not answered'
  if (us >= 999_500) return `${figureText(us / 1e6)} s`
  if (us >= 999.5) return `${figureText(us / 1000)} ms`
  return `${figureText(us)} µs`
}

/** Hundredths: `-0.35 points`. */
export function percentPoints(share: number): string {
  const points = Number((100 * share).toFixed(2))
  return `${points > 0 ? '+' : points < 0 ? '−' : ''}${Math.abs(points)} points`
}

/** Without a sign: `1 point`, `0.35 points`. */
export function pointsText(share: number): string {
  const points = Math.abs(Number((100 * share).toFixed(2)))
  return `${points} ${points === 1 ? 'point' : 'points'}`
}

export const percentText = (share: number): string => `${Number((100 * share).toFixed(2))} %`

/** `[4.1 to 4.6 ms]`; one measurement has none. */
export function interval({ low, high, value }: Estimate, text: (value: number) => string): string {
  if (low === value && high === value) return '[measured once]'
  if (low <= 0 && !Number.isFinite(high)) return '[measured once]'
  return `[${text(low)} to ${text(high)}]`
}
