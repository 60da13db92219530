import type { ContractObjects, Declared } from './contract-objects.js'
import { calendarSpan, spanMs } from './duration.js'
import type { SloSpec } from './openslo.js'
import type { Window } from './types.js'

const DAY_MS = 86_400_000
/** Four weeks: as many weekends in each window (SRE workbook, chapter 2). */
const DEFAULT_WINDOW: Window = { kind: 'rolling', ms: 28 * DAY_MS }
/** Counts are kept for as long as the longest window. */
const LONGEST_MS = 366 * DAY_MS
const MOST_UNITS = { day: 366, week: 52, month: 12, quarter: 4, year: 1 } as const

/** The window of an SLO; undefined, with a problem, where it is none. */
export function windowOf(slo: Declared<SloSpec>, objects: ContractObjects): Window | undefined {
  const [given] = slo.spec.timeWindow ?? []
  if (given === undefined) return DEFAULT_WINDOW
  const at = ['spec', 'timeWindow', 0]
  const { duration, isRolling, calendar } = given
  if (calendar === undefined) {
    if (isRolling !== true) {
      const fix = 'Write isRolling: true, or add calendar with startTime and timeZone.'
      objects.invalid(slo, at, 'a window that does not roll needs calendar', fix)
      return undefined
    }
    const ms = spanMs(duration)
    if (ms === undefined || ms > LONGEST_MS) {
      const why = ms === undefined ? 'has no fixed length, which a rolling window needs' : 'is longer than 366 days'
      objects.invalid(slo, [...at, 'duration'], `${duration} ${why}`, 'Write days, as 28d.')
      return undefined
    }
    return { kind: 'rolling', ms }
  }
  if (isRolling === true) {
    objects.invalid(slo, [...at, 'isRolling'], 'a window with calendar does not roll', 'Remove isRolling or calendar.')
    return undefined
  }
  const span = calendarSpan(duration)
  if (span === undefined || span.count > MOST_UNITS[span.unit]) {
    const why = span === undefined ? 'is no unit of the calendar' : 'is longer than a year'
    objects.invalid(slo, [...at, 'duration'], `${duration} ${why}`, 'Write d, w, M, Q or Y, as 1M.')
    return undefined
  }
  const { startTime, timeZone } = calendar
  const good = [
    isDate(startTime) ||
      objects.invalid(slo, [...at, 'calendar', 'startTime'], `there is no ${startTime}`, 'Write a date that exists.'),
    isZone(timeZone) ||
      objects.invalid(
        slo,
        [...at, 'calendar', 'timeZone'],
        `there is no time zone ${timeZone}`,
        'Write a name of the IANA Time Zone Database, as Europe/Berlin or UTC.',
      ),
  ]
  return good.every(Boolean) ? { kind: 'calendar', ...span, startTime, timeZone } : undefined
}

/** Whether such a day and time exist: 30 February does not. */
function isDate(text: string): boolean {
  const time = Date.parse(`${text.replace(' ', 'T')}Z`)
  return !Number.isNaN(time) && new Date(time).toISOString().slice(0, 19) === text.replace(' ', 'T')
}

function isZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name })
    return true
  } catch {
    return false
  }
}
