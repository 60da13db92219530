/** Units whose length never changes, in microseconds. `m` is minutes, as in OpenSLO and Prometheus. */
const MICROSECONDS: Readonly<Record<string, number>> = {
  us: 1,
  µs: 1,
  ms: 1_000,
  s: 1_000_000,
  m: 60_000_000,
  h: 3_600_000_000,
  d: 86_400_000_000,
  w: 604_800_000_000,
}

/** A latency such as `10ms`, `1.5s` or `250us`, in microseconds; undefined when it is none. */
export function latencyUs(text: string): number | undefined {
  const found = /^(\d{1,12}(?:\.\d{1,6})?)(us|µs|ms|s|m|h)$/.exec(text)
  const unit = MICROSECONDS[found?.[2] ?? '']
  if (found?.[1] === undefined || unit === undefined) return undefined
  // 0.3 ms are 300 µs, not 299.99999999999994.
  return Number((Number(found[1]) * unit).toPrecision(12))
}

/** A span of fixed length such as `5m`, `28d` or, beyond OpenSLO, `30s`, in milliseconds; undefined when it is none. */
export function spanMs(text: string): number | undefined {
  const found = /^(\d{1,9})(s|m|h|d|w)$/.exec(text)
  const unit = MICROSECONDS[found?.[2] ?? '']
  return found?.[1] === undefined || unit === undefined ? undefined : (Number(found[1]) * unit) / 1_000
}

/** Calendar units of OpenSLO's duration-shorthand. */
const CALENDAR_UNITS = { d: 'day', w: 'week', M: 'month', Q: 'quarter', Y: 'year' } as const

/** `1M` as one month; undefined when it is no number of days, weeks, months, quarters or years. */
export function calendarSpan(
  text: string,
): { unit: (typeof CALENDAR_UNITS)[keyof typeof CALENDAR_UNITS]; count: number } | undefined {
  const found = /^(\d{1,4})([dwMQY])$/.exec(text)
  const unit = CALENDAR_UNITS[found?.[2] as keyof typeof CALENDAR_UNITS]
  return found === null || unit === undefined ? undefined : { unit, count: Number(found[1]) }
}

const SPANS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
] as const

/** Milliseconds as Prometheus and OpenSLO write them, in the largest unit that needs no fraction: `3d`, `90m`, `500ms`. */
export function shortSpan(ms: number): string {
  for (const [unit, length] of SPANS) if (ms >= length && ms % length === 0) return `${ms / length}${unit}`
  return `${ms}ms`
}

const LONG_NAMES: Readonly<Record<string, string>> = { d: 'day', h: 'hour', m: 'minute', s: 'second' }

/** Milliseconds in words: `28 days`, `1 hour`, `90 minutes`. */
export function spanInWords(ms: number): string {
  const found = /^(\d+)([dhms])$/.exec(shortSpan(ms))
  const name = LONG_NAMES[found?.[2] ?? '']
  if (found === null || name === undefined) return `${ms} ms`
  return `${found[1]} ${name}${found[1] === '1' ? '' : 's'}`
}

/** Microseconds in the unit that people would say: `250 µs`, `10 ms`, `1.5 s`. */
export function latencyInWords(us: number): string {
  const round = (value: number): string => String(Number(value.toPrecision(6)))
  if (us < 1_000) return `${round(us)} µs`
  return us < 1_000_000 ? `${round(us / 1_000)} ms` : `${round(us / 1_000_000)} s`
}
