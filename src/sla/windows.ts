import { SubtenError } from '../runtime/errors.js'
import type { Maintenance, Window } from './types.js'

const DAY = 24 * 3600 * 1000

/** Longest that a window can be, milliseconds. */
export function longestOf(window: Window): number {
  if (window.kind === 'rolling') return window.ms
  const days = { day: 1, week: 7, month: 31, quarter: 92, year: 366 }[window.unit]
  // An hour more: the day on which clocks are set back has 25.
  return days * DAY * window.count + 3600 * 1000
}

/** When the window that `now` lies in began; both in milliseconds since the epoch. */
export function windowStart(window: Window, now: number): number {
  return window.kind === 'rolling' ? now - window.ms : calendarStart(window, now)
}

/** Whether this is time that counts for nobody: from `from` on, before `to`. */
export function inMaintenance(maintenance: readonly Maintenance[], service: string, at: number): boolean {
  return maintenance.some((each) => at >= each.from && at < each.to && (each.service ?? service) === service)
}

interface Local {
  readonly year: number
  /** From 0. */
  readonly month: number
  readonly day: number
  /** Of the day. */
  readonly ms: number
}

type Calendar = Extract<Window, { kind: 'calendar' }>

/** The latest of the beginnings `startTime + k * count * unit` that is not after `now`, in the window's time zone. */
function calendarStart(window: Calendar, now: number): number {
  const anchor = parseLocal(window.startTime)
  const days = { day: 1, week: 7, month: 30.44, quarter: 91.31, year: 365.24 }[window.unit] * window.count
  const beginning = (k: number): number => toEpoch(shifted(anchor, window, k), window.timeZone)
  // A guess by mean lengths, then the right one beside it.
  let k = Math.floor((now - beginning(0)) / (days * DAY))
  while (beginning(k) > now) k--
  while (beginning(k + 1) <= now) k++
  return beginning(k)
}

/** `2026-01-31 00:00:00`, as OpenSLO writes it, or with a T. */
function parseLocal(text: string): Local {
  const match = /^\s*(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.\d+)?)?)?Z?\s*$/.exec(text)
  if (match === null) {
    throw new SubtenError('CONFIG_INVALID', `calendar.startTime: ${JSON.stringify(text)} is no date and time`, {
      remedy: 'Write it as 2026-01-01 00:00:00; the time zone stands in calendar.timeZone.',
      details: { field: 'calendar.startTime' },
    })
  }
  const [year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0] = match
    .slice(1)
    .map((part) => Number(part ?? 0))
  return { year, month: month - 1, day, ms: ((hour * 60 + minute) * 60 + second) * 1000 }
}

/** `k` periods later on the calendar. The 31st is the last day of months that have fewer. */
function shifted(anchor: Local, { unit, count }: Calendar, k: number): Local {
  const n = k * count
  if (unit === 'day' || unit === 'week') return { ...anchor, day: anchor.day + n * (unit === 'week' ? 7 : 1) }
  const months = anchor.year * 12 + anchor.month + n * { month: 1, quarter: 3, year: 12 }[unit]
  const year = Math.floor(months / 12)
  const month = months - year * 12
  const last = new Date(Date.UTC(year, month + 1, 0)).getUTCDate()
  return { year, month, day: Math.min(anchor.day, last), ms: anchor.ms }
}

/**
 * The moment that clocks of the time zone show this. Where they show it twice, the first; where they skip it, the same
 * time by the offset before they were set.
 */
function toEpoch({ year, month, day, ms }: Local, timeZone: string): number {
  const wanted = Date.UTC(year, month, day) + ms
  const before = wanted - offsetAt(wanted - DAY, timeZone)
  const after = wanted - offsetAt(wanted + DAY, timeZone)
  if (before + offsetAt(before, timeZone) === wanted) return Math.min(before, valid(after, wanted, timeZone) ?? before)
  return valid(after, wanted, timeZone) ?? before
}

function valid(epoch: number, wanted: number, timeZone: string): number | undefined {
  return epoch + offsetAt(epoch, timeZone) === wanted ? epoch : undefined
}

const formats = new Map<string, Intl.DateTimeFormat>()

/** What clocks of the time zone show at `epoch`, less UTC, milliseconds. */
function offsetAt(epoch: number, timeZone: string): number {
  let format = formats.get(timeZone)
  if (format === undefined) {
    try {
      format = new Intl.DateTimeFormat('en-US', {
        timeZone,
        hourCycle: 'h23',
        year: 'numeric',
        month: 'numeric',
        day: 'numeric',
        hour: 'numeric',
        minute: 'numeric',
        second: 'numeric',
      })
    } catch (cause) {
      throw new SubtenError('CONFIG_INVALID', `calendar.timeZone: ${JSON.stringify(timeZone)} is no time zone`, {
        remedy: 'Use a name of the IANA time zone database, such as Europe/Berlin or UTC.',
        details: { field: 'calendar.timeZone' },
        cause,
      })
    }
    formats.set(timeZone, format)
  }
  const seconds = Math.floor(epoch / 1000) * 1000
  const parts = Object.fromEntries(format.formatToParts(seconds).map(({ type, value }) => [type, Number(value)]))
  const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = parts
  return Date.UTC(year, month - 1, day, hour, minute, second) - seconds
}
