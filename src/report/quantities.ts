/** Three significant digits, with commas in thousands; small enough numbers as 0. */
export function figure(value: number): string {
  if (!Number.isFinite(value)) return '–'
  if (value === 0) return '0'
  const size = Math.floor(Math.log10(Math.abs(value)))
  if (size < -3) return value.toExponential(1)
  const digits = Math.max(0, 2 - size)
  return Number(value.toFixed(digits)).toLocaleString('en-US', { maximumFractionDigits: digits })
}

/** Microseconds in the unit that suits them: `8.4 µs`, `12.3 ms`, `1.2 s`. */
export function time(us: number): string {
  if (!Number.isFinite(us)) return '–'
  if (us >= 999_500) return `${figure(us / 1e6)} s`
  if (us >= 999.5) return `${figure(us / 1000)} ms`
  return `${figure(us)} µs`
}

/** A stretch of time for people: `5 min`, `6 h`, `28 d`. */
export function stretch(ms: number): string {
  for (const [size, unit] of [
    [86_400_000, 'd'],
    [3_600_000, 'h'],
    [60_000, 'min'],
    [1000, 's'],
  ] as const) {
    if (ms >= size && (ms % size === 0 || ms >= 2 * size)) return `${figure(ms / size)} ${unit}`
  }
  return `${figure(ms)} ms`
}

export const rate = (perSecond: number): string => `${figure(perSecond)}/s`
export const count = (value: number): string => Math.round(value).toLocaleString('en-US')

/** A share as a percentage; near 100 % with as many nines as it takes to tell it from 100 %. */
export function percent(share: number): string {
  if (!Number.isFinite(share)) return '–'
  const rest = Math.abs(1 - share)
  const digits = share > 0.9 && rest > 0 ? Math.min(5, Math.max(2, Math.ceil(-Math.log10(rest)) - 1)) : 2
  const text = (100 * share).toFixed(digits)
  if (share < 1 && Number(text) === 100) return '> 99.999 %'
  if (share > 0 && Number(text) === 0) return '< 0.01 %'
  return `${Number(text)} %`
}

/** `27 Nov 2026, 21:30 UTC`: a report is read in other places than it was made. */
export function moment(ms: number): string {
  const date = new Date(ms)
  if (Number.isNaN(date.getTime())) return 'at an unknown time'
  const day = date.toLocaleDateString('en-GB', { day: 'numeric', month: 'short', year: 'numeric', timeZone: 'UTC' })
  return `${day}, ${date.toISOString().slice(11, 16)} UTC`
}

/** `1 request`, `2 requests`. */
export const counted = (value: number, one: string, many = `${one}s`): string =>
  `${count(value)} ${value === 1 ? one : many}`
