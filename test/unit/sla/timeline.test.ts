import fc from 'fast-check'
import { expect, it } from 'vitest'
import { Timeline } from '../../../src/sla/timeline.js'
import { TestClock } from './objectives.js'

it('never goes backwards and never slower than the monotonic clock, whatever the wall clock does', () => {
  const step = fc.record({ pass: fc.nat(5000), jump: fc.integer({ min: -100_000, max: 100_000 }) })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 50 }), (steps) => {
      const clock = new TestClock()
      const timeline = new Timeline(clock)
      let last = timeline.now()
      for (const { pass, jump } of steps) {
        clock.pass(pass)
        clock.jump(jump)
        const now = timeline.now()
        expect(now).toBeGreaterThanOrEqual(last + pass)
        expect(now).toBeGreaterThanOrEqual(clock.wall())
        expect(Math.abs(timeline.wall(now) - clock.wall())).toBeLessThan(2)
        last = now
      }
    }),
  )
})

it('goes on where the process before had come to, when the clock was set back in between', () => {
  const clock = new TestClock()
  const timeline = new Timeline(clock, clock.wall() + 60_000)
  expect(timeline.now()).toBe(clock.wall() + 60_000)
  clock.pass(1000)
  expect(timeline.now()).toBe(clock.wall() + 60_000)
  expect(timeline.wall(timeline.now())).toBe(clock.wall())
})
