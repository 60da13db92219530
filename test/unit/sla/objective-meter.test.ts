import { describe, expect, it } from 'vitest'
import { type Change, ObjectiveMeter } from '../../../src/sla/objective-meter.js'
import { Timeline } from '../../../src/sla/timeline.js'
import type { Maintenance, Objective } from '../../../src/sla/types.js'
import { DAY, HOUR, MINUTE, objective, SECOND, TestClock, WORKBOOK } from './objectives.js'

/** A meter on a clock of its own, with traffic that a test describes. */
function metering(changes: Partial<Objective> = {}, maintenance: readonly Maintenance[] = []) {
  const clock = new TestClock()
  const timeline = new Timeline(clock)
  const meter = new ObjectiveMeter(objective(changes), maintenance, timeline)
  const told: (Change & { at: number })[] = []
  /** So many requests a second with this share of errors; each step is ticked. */
  const traffic = (ms: number, perSecond: number, errors: number, step = SECOND): void => {
    for (let passed = 0; passed < ms; passed += step) {
      clock.pass(step)
      const total = (perSecond * step) / SECOND
      meter.count(timeline.now(), { good: total * (1 - errors), total, excluded: 0 })
      told.push(...meter.tick(timeline.now()).map((change) => ({ ...change, at: clock.wall() })))
    }
  }
  return { clock, timeline, meter, told, traffic, status: () => meter.status(timeline.now()) }
}

const ofSeverity = (told: readonly Change[], rate: number): string[] =>
  told.flatMap((each) => ('alert' in each && each.alert.burnRate === rate ? [each.type] : []))

describe('alerts of the workbook', () => {
  it.each([
    // (1 - SLO) / error ratio * window * burn rate, chapter 5: an outage is paged after 52 s, 10 % errors after 518 s.
    [1, 51.84],
    [0.1, 518.4],
  ])('an error ratio of %d is paged after %d s', (ratio, seconds) => {
    const { traffic, told, clock } = metering({ alerts: [WORKBOOK] })
    traffic(3 * DAY, 10, 0, MINUTE)
    const since = clock.wall()
    traffic(15 * MINUTE, 10, ratio)
    const paged = told.find((each) => 'alert' in each && each.alert.burnRate === 14.4)
    expect(paged).toMatchObject({ type: 'alert', alert: { severity: 'page', firing: true } })
    // The healthy traffic comes in minutes, of which the hour may hold one more or less: 1.7 %, and a second of the tick.
    expect(((paged?.at ?? 0) - since) / SECOND).toBeGreaterThan(seconds * 0.98 - 1)
    expect(((paged?.at ?? 0) - since) / SECOND).toBeLessThan(seconds * 1.02 + 1)
  })

  it('a burn of exactly the rate fires nothing, and a hair more does', () => {
    const exact = metering({ alerts: [WORKBOOK] })
    exact.traffic(3 * DAY, 1000, 0.0144, MINUTE)
    expect(ofSeverity(exact.told, 14.4)).toEqual([])
    const more = metering({ alerts: [WORKBOOK] })
    more.traffic(3 * DAY, 1000, 0.01441, MINUTE)
    expect(ofSeverity(more.told, 14.4)).toEqual(['alert'])
  })

  it('the short window resets the alert: five minutes after the errors stop, not an hour', () => {
    const { traffic, told, clock } = metering({ alerts: [WORKBOOK] })
    traffic(3 * DAY, 10, 0, MINUTE)
    traffic(2 * MINUTE, 10, 1)
    const stopped = clock.wall()
    traffic(10 * MINUTE, 10, 0)
    const pages = told.filter((each) => 'alert' in each && each.alert.burnRate === 14.4)
    expect(pages.map(({ type }) => type)).toEqual(['alert', 'resolved'])
    const minutes = ((pages[1]?.at ?? 0) - stopped) / MINUTE
    expect(minutes).toBeGreaterThan(4.5)
    expect(minutes).toBeLessThan(5.1)
  })

  it('a short burst that the long window absorbs pages nobody', () => {
    const { traffic, told } = metering({ alerts: [WORKBOOK] })
    traffic(3 * DAY, 10, 0, MINUTE)
    traffic(40 * SECOND, 10, 1)
    traffic(20 * MINUTE, 10, 0)
    expect(ofSeverity(told, 14.4)).toEqual([])
  })

  it('a slow burn becomes a ticket, never a page', () => {
    const { traffic, told } = metering({ alerts: [WORKBOOK] })
    traffic(4 * DAY, 1000, 0.002, MINUTE)
    expect(ofSeverity(told, 1)).toEqual(['alert'])
    expect(ofSeverity(told, 6)).toEqual([])
    expect(ofSeverity(told, 14.4)).toEqual([])
  })

  it('fires once while both windows burn, however often it is looked at', () => {
    const { traffic, told } = metering({ alerts: [WORKBOOK] })
    traffic(2 * HOUR, 10, 1)
    expect(ofSeverity(told, 14.4)).toEqual(['alert'])
  })

  it('a condition that waits fires only when it has burnt for that long without a break', () => {
    const patient = { severity: 'page', burnRate: 10, longMs: HOUR, shortMs: MINUTE, afterMs: 5 * MINUTE } as const
    const { traffic, told, clock } = metering({ alerts: [{ ...WORKBOOK, conditions: [patient] }] })
    traffic(2 * HOUR, 10, 0, MINUTE)
    traffic(4 * MINUTE, 10, 1)
    traffic(3 * MINUTE, 10, 0)
    expect(ofSeverity(told, 10)).toEqual([])
    const since = clock.wall()
    traffic(10 * MINUTE, 10, 1)
    expect(ofSeverity(told, 10)).toEqual(['alert'])
    const at = told.find(({ type }) => type === 'alert')?.at ?? 0
    expect(at - since).toBeGreaterThanOrEqual(5 * MINUTE)
    expect(at - since).toBeLessThan(6 * MINUTE)
    traffic(10 * MINUTE, 10, 0)
    expect(ofSeverity(told, 10)).toEqual(['alert', 'resolved'])
  })

  it('a long window with fewer events than the minimum fires nothing', () => {
    const few = metering({ alerts: [WORKBOOK], minimumEvents: 100 })
    few.traffic(5 * MINUTE, 0.3, 1, 10 * SECOND)
    expect(few.told).toEqual([])
    expect(few.status()).toMatchObject({ state: 'too-few', burn: {} })
    expect(few.status().compliance).toBeUndefined()
    const enough = metering({ alerts: [WORKBOOK], minimumEvents: 100 })
    enough.traffic(6 * MINUTE, 0.5, 1, 10 * SECOND)
    expect(ofSeverity(enough.told, 14.4)).toEqual(['alert'])
  })

  it('works with windows of seconds as well', () => {
    const scaled = {
      ...WORKBOOK,
      conditions: [{ severity: 'page', burnRate: 10, longMs: 60_000, shortMs: 5000 } as const],
    }
    const { traffic, told } = metering({ alerts: [scaled], target: 0.99 })
    traffic(2 * MINUTE, 100, 0)
    traffic(7 * SECOND, 100, 1)
    expect(ofSeverity(told, 10)).toEqual(['alert'])
    traffic(6 * SECOND, 100, 0)
    expect(ofSeverity(told, 10)).toEqual(['alert', 'resolved'])
  })
})

describe('the state of an objective', () => {
  it('goes from met over at-risk to broken, and says so once; and back when the window has passed', () => {
    const { traffic, told, status } = metering({ target: 0.99, window: { kind: 'rolling', ms: HOUR } })
    traffic(HOUR, 10, 0, 10 * SECOND)
    expect(status()).toMatchObject({ state: 'met', compliance: 1, budgetLeft: 1 })
    traffic(33 * SECOND, 10, 1)
    expect(status().state).toBe('at-risk')
    expect(status().budgetLeft).toBeCloseTo(1 - 33 / 36, 1)
    traffic(10 * SECOND, 10, 1)
    expect(status()).toMatchObject({ state: 'broken' })
    expect(status().budgetLeft).toBeLessThan(0)
    traffic(62 * MINUTE, 10, 0, 10 * SECOND)
    expect(status().state).toBe('met')
    expect(told.map(({ type }) => type)).toEqual(['broken', 'met'])
  })

  it('starts with the calendar: what was before the month is forgotten at its beginning', () => {
    const window = {
      kind: 'calendar',
      unit: 'month',
      count: 1,
      startTime: '2026-01-01 00:00:00',
      timeZone: 'Europe/Berlin',
    } as const
    const { traffic, status, clock } = metering({ target: 0.99, window })
    // The clock stands at 1 January, 1:00 in Berlin; January ends an hour before it does in UTC.
    traffic(30 * DAY + 22 * HOUR, 0.01, 0.5, HOUR)
    expect(status().state).toBe('broken')
    expect(new Date(clock.wall()).toISOString()).toBe('2026-01-31T22:00:00.000Z')
    clock.pass(59 * MINUTE)
    expect(status().state).toBe('broken')
    clock.pass(MINUTE)
    expect(status()).toMatchObject({ state: 'too-few', events: { total: 0 } })
  })

  it('has no events of a maintenance: they are counted apart', () => {
    const from = Date.UTC(2026, 0, 1, 1)
    const { traffic, status, told } = metering({ alerts: [WORKBOOK] }, [{ from, to: from + HOUR, reason: 'disks' }])
    traffic(HOUR, 10, 0, 10 * SECOND)
    traffic(HOUR - SECOND, 10, 1)
    expect(told).toEqual([])
    expect(status()).toMatchObject({ state: 'met', budgetLeft: 1 })
    expect(status().events.excluded).toBeGreaterThan(35_000)
    traffic(MINUTE, 10, 1)
    expect(told.map(({ type }) => type)).toContain('alert')
  })

  it('keeps addresses of webhooks and paths of the machine to itself', () => {
    const alerts = [{ ...WORKBOOK, targets: [{ name: 'chat', url: 'https://hooks.example/s3cret', secretEnv: 'KEY' }] }]
    const text = JSON.stringify(metering({ alerts }).status())
    expect(text).toContain('"chat"')
    expect(text).not.toMatch(/s3cret|KEY|\/srv/)
  })
})

describe('slices of time', () => {
  const slices = { ms: MINUTE, target: 0.95 }

  it('are good or bad as a whole, however many events they have', () => {
    const { traffic, status } = metering({ slices, target: 0.9 })
    traffic(8 * MINUTE, 10, 0)
    traffic(MINUTE, 1000, 0.06) // more than 5 % bad: one bad minute
    traffic(MINUTE, 1, 0.05) // exactly what a slice may have
    traffic(2 * SECOND, 1, 0)
    expect(status().events).toEqual({ good: 9, total: 10, excluded: 0 })
    expect(status()).toMatchObject({ budgetLeft: 0, compliance: 0.9 })
  })

  it('count as their share of good events where they have no target', () => {
    const { traffic, status } = metering({ slices: { ms: MINUTE }, target: 0.9 })
    traffic(MINUTE, 10, 0)
    traffic(MINUTE, 1000, 0.5)
    traffic(2 * SECOND, 1, 0)
    expect(status().events).toEqual({ good: 1.5, total: 2, excluded: 0 })
  })

  it('do not count where nothing was asked, nor before they are over', () => {
    const { traffic, clock, meter, timeline, status } = metering({ slices })
    traffic(30 * SECOND, 10, 1)
    expect(status().events.total).toBe(0)
    clock.pass(10 * MINUTE)
    meter.count(timeline.now(), { good: 0, total: 0, excluded: 0 })
    expect(status().events).toEqual({ good: 0, total: 1, excluded: 0 })
    clock.pass(10 * MINUTE)
    meter.count(timeline.now(), { good: 0, total: 0, excluded: 0 })
    expect(status().events.total).toBe(1)
  })

  it('in which all was maintenance are excluded', () => {
    const from = Date.UTC(2026, 0, 1)
    const { traffic, status } = metering({ slices }, [{ from, to: from + 2 * MINUTE + 1, reason: 'move' }])
    traffic(2 * MINUTE, 10, 1)
    traffic(MINUTE + 2 * SECOND, 10, 0)
    expect(status().events).toMatchObject({ good: 1, total: 1 })
    expect(status().events.excluded).toBeGreaterThanOrEqual(1)
  })

  it('have another place in the state than events', () => {
    expect(metering({ slices }).meter.key).not.toBe(metering().meter.key)
    expect(metering({ slices }).meter.key).not.toBe(metering({ slices: { ms: MINUTE } }).meter.key)
  })
})

describe('clocks that jump', () => {
  it('a wall clock that is set back counts nothing twice, and windows go on at their pace', () => {
    const { traffic, status, clock, told } = metering({ alerts: [WORKBOOK] })
    traffic(3 * DAY, 10, 0, MINUTE)
    const before = status().events.total
    clock.jump(-2 * DAY)
    expect(status().events.total).toBe(before)
    traffic(2 * MINUTE, 10, 1)
    expect(status().events.total).toBe(before + 1200)
    // The alert resets after five minutes of real time, not after two days.
    traffic(6 * MINUTE, 10, 0)
    expect(ofSeverity(told, 14.4)).toEqual(['alert', 'resolved'])
  })

  it('a wall clock that is set forward ages windows by the jump', () => {
    const { traffic, status, clock } = metering({ window: { kind: 'rolling', ms: HOUR } })
    traffic(10 * MINUTE, 10, 0.5)
    expect(status().state).toBe('broken')
    clock.jump(50 * MINUTE)
    expect(status().events.total).toBeGreaterThan(0)
    clock.jump(11 * MINUTE)
    expect(status().events.total).toBe(0)
  })

  it('forward and back again loses no more than the jump forward aged', () => {
    const { traffic, status, clock } = metering({ window: { kind: 'rolling', ms: HOUR } })
    traffic(10 * MINUTE, 10, 0)
    clock.jump(10 * MINUTE)
    traffic(10 * MINUTE, 10, 0)
    clock.jump(-10 * MINUTE)
    traffic(10 * MINUTE, 10, 0)
    expect(status().events.total).toBe(18_000)
  })

  it('calendar windows follow the wall clock, also when it was set back', () => {
    const window = { kind: 'calendar', unit: 'day', count: 1, startTime: '2026-01-01', timeZone: 'UTC' } as const
    const { traffic, status, clock } = metering({ window })
    traffic(23 * HOUR, 1, 0, MINUTE)
    clock.jump(-10 * HOUR)
    traffic(MINUTE, 1, 0)
    // It is 13:01 by the wall: the day began thirteen hours ago (with a minute that was counted at its very beginning).
    expect(status().events.total).toBe(13 * 3600 + 60 + 60)
    traffic(11 * HOUR - 2 * MINUTE, 1, 0, MINUTE)
    expect(status().events.total).toBe(24 * 3600)
    traffic(MINUTE, 1, 0, MINUTE)
    expect(status().events.total).toBe(60)
  })
})
