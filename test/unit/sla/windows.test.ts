import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Window } from '../../../src/sla/types.js'
import { inMaintenance, longestOf, windowStart } from '../../../src/sla/windows.js'
import { DAY } from './objectives.js'

type Calendar = Extract<Window, { kind: 'calendar' }>

const calendar = (changes: Partial<Calendar>): Window => ({
  kind: 'calendar',
  unit: 'month',
  count: 1,
  startTime: '2026-01-01 00:00:00',
  timeZone: 'UTC',
  ...changes,
})

const startOf = (window: Window, now: string): string => new Date(windowStart(window, Date.parse(now))).toISOString()

it('a rolling window begins so long ago', () => {
  expect(startOf({ kind: 'rolling', ms: 28 * DAY }, '2026-03-29T12:00:00Z')).toBe('2026-03-01T12:00:00.000Z')
})

describe('a calendar window', () => {
  it.each([
    [{ unit: 'month' }, '2026-03-15T12:00:00Z', '2026-03-01T00:00:00.000Z'],
    [{ unit: 'month' }, '2026-03-01T00:00:00Z', '2026-03-01T00:00:00.000Z'],
    [{ unit: 'month' }, '2026-02-28T23:59:59.999Z', '2026-02-01T00:00:00.000Z'],
    [{ unit: 'quarter' }, '2026-06-30T23:59:59Z', '2026-04-01T00:00:00.000Z'],
    [{ unit: 'week', startTime: '2026-01-05 00:00:00' }, '2026-11-27T12:00:00Z', '2026-11-23T00:00:00.000Z'],
    [{ unit: 'day', count: 2 }, '2026-01-04T10:00:00Z', '2026-01-03T00:00:00.000Z'],
    [{ unit: 'year', startTime: '2020-07-01 06:00:00' }, '2026-07-01T05:59:59Z', '2025-07-01T06:00:00.000Z'],
    // Before its start time as well.
    [{ unit: 'month' }, '2025-12-31T23:00:00Z', '2025-12-01T00:00:00.000Z'],
    // The 31st is the last day of shorter months, and the 31st again afterwards.
    [{ unit: 'month', startTime: '2026-01-31' }, '2026-03-05T00:00:00Z', '2026-02-28T00:00:00.000Z'],
    [{ unit: 'month', startTime: '2026-01-31' }, '2026-03-31T00:00:00Z', '2026-03-31T00:00:00.000Z'],
  ] as const)('%j at %s began at %s', (changes, now, start) => {
    expect(startOf(calendar(changes), now)).toBe(start)
  })

  it('begins at midnight of its own time zone, in summer and in winter', () => {
    const berlin = calendar({ timeZone: 'Europe/Berlin' })
    expect(startOf(berlin, '2026-01-31T22:59:59Z')).toBe('2025-12-31T23:00:00.000Z')
    expect(startOf(berlin, '2026-01-31T23:00:00Z')).toBe('2026-01-31T23:00:00.000Z')
    expect(startOf(berlin, '2026-07-10T00:00:00Z')).toBe('2026-06-30T22:00:00.000Z')
    expect(startOf(calendar({ timeZone: 'Asia/Kolkata' }), '2026-07-10T00:00:00Z')).toBe('2026-06-30T18:30:00.000Z')
  })

  it('is an hour shorter or longer on the days on which clocks are set', () => {
    const day = calendar({ unit: 'day', timeZone: 'Europe/Berlin' })
    // 29 March 2026 has 23 hours, 25 October 25.
    expect(startOf(day, '2026-03-29T21:59:59Z')).toBe('2026-03-28T23:00:00.000Z')
    expect(startOf(day, '2026-03-29T22:00:00Z')).toBe('2026-03-29T22:00:00.000Z')
    expect(startOf(day, '2026-10-25T22:59:59Z')).toBe('2026-10-24T22:00:00.000Z')
    expect(startOf(day, '2026-10-25T23:00:00Z')).toBe('2026-10-25T23:00:00.000Z')
  })

  it('begins once where clocks show its time twice, and somewhere where they skip it', () => {
    const at = (startTime: string): Window => calendar({ unit: 'day', startTime, timeZone: 'Europe/Berlin' })
    expect(startOf(at('2026-01-01 02:30:00'), '2026-10-25T01:00:00Z')).toBe('2026-10-25T00:30:00.000Z')
    expect(startOf(at('2026-01-01 02:30:00'), '2026-03-29T03:00:00Z')).toBe('2026-03-29T01:30:00.000Z')
  })

  it('holds now, is no longer than it can be, and the next one begins where it ends', () => {
    const zones = ['UTC', 'Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'Asia/Kathmandu']
    fc.assert(
      fc.property(
        fc.constantFrom('day', 'week', 'month', 'quarter', 'year') as fc.Arbitrary<Calendar['unit']>,
        fc.integer({ min: 1, max: 3 }),
        fc.constantFrom(...zones),
        fc.integer({ min: Date.UTC(2001, 0), max: Date.UTC(2060, 0) }),
        (unit, count, timeZone, now) => {
          const window = calendar({ unit, count, timeZone })
          const start = windowStart(window, now)
          expect(start).toBeLessThanOrEqual(now)
          expect(now - start).toBeLessThan(longestOf(window))
          expect(windowStart(window, start)).toBe(start)
          expect(windowStart(window, start - 1)).toBeLessThan(start)
        },
      ),
    )
  })

  it('says which field is wrong', () => {
    expect(() => windowStart(calendar({ startTime: 'soon' }), 0)).toThrow('calendar.startTime')
    expect(() => windowStart(calendar({ timeZone: 'Mars/Base' }), 0)).toThrow('calendar.timeZone')
  })
})

it('maintenance counts from its first moment to before its last, for its service or for all', () => {
  const all = [{ from: 100, to: 200, reason: 'disk' }]
  expect([99, 100, 199, 200].map((at) => inMaintenance(all, 'a', at))).toEqual([false, true, true, false])
  const one = [{ from: 100, to: 200, reason: 'disk', service: 'a' }]
  expect(['a', 'b'].map((service) => inMaintenance(one, service, 150))).toEqual([true, false])
})
