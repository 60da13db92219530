import { AsyncLocalStorage } from 'node:async_hooks'
import { tracingChannel } from 'node:diagnostics_channel'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { withDeadline } from '../../../src/runtime/deadline.js'
import type { InferEvent } from '../../../src/runtime/diagnostics.js'
import { STAGES } from '../../../src/runtime/stats.js'
import { rejection, thrown } from '../repository/thrown.js'
import { loaded, row, slowEcho } from './loaded.js'

describe('timing', () => {
  it('is on the result of a traced request only, not enumerable, and its stages sum up to the total', async () => {
    const model = await slowEcho(5)
    const plain = await model.infer(row(1))
    expect(plain.timing).toBeUndefined()
    const traced = await model.infer(row(1), { trace: true })
    expect(Object.keys(traced)).toEqual(['output'])
    const { inbox, queue, prepare, compute, publish, wake, total } = traced.timing as NonNullable<typeof traced.timing>
    expect(compute).toBeGreaterThanOrEqual(5000)
    for (const stage of [inbox, queue, prepare, publish, wake]) expect(stage).toBeGreaterThanOrEqual(0)
    expect(Math.abs(inbox + queue + prepare + compute + publish + wake - total)).toBeLessThan(1)
    expect(traced.timing?.toServerTiming()).toMatch(/^inbox;dur=[\d.]+, queue;dur=.*total;dur=[\d.]+$/)
  })

  it('is on the result of inferSync too', async () => {
    const model = await slowEcho(2)
    const { timing } = model.inferSync(row(1), { trace: true })
    expect(timing?.compute).toBeGreaterThanOrEqual(2000)
    expect(timing?.total).toBeGreaterThanOrEqual(2000)
  })
})

describe('stats', () => {
  it('count every request by its outcome and give percentiles of every stage', async () => {
    const model = await slowEcho(1)
    for (let i = 0; i < 20; i++) await model.infer(row(i))
    const { requests, batches, stages, memory } = model.stats()
    expect(requests).toEqual({
      submitted: 20,
      succeeded: 20,
      failed: 0,
      cancelled: 0,
      expired: 0,
      refused: 0,
      inFlight: 0,
    })
    expect(batches).toMatchObject({ count: 20, meanSize: 1 })
    expect(Object.keys(stages)).toEqual([...STAGES])
    for (const { p50, p95, p99, p999, max } of Object.values(stages)) {
      expect([p50, p95, p99, p999, max]).toEqual([p50, p95, p99, p999, max].sort((a, b) => a - b))
    }
    expect(stages.compute.p50).toBeGreaterThanOrEqual(990)
    expect(stages.total.p50).toBeGreaterThanOrEqual(stages.compute.p50 * 0.99)
    expect(memory.bytes).toBe(64 * 1024 * 1024)
  })

  it('of two moments can be subtracted', async () => {
    const model = await slowEcho(0)
    for (let i = 0; i < 10; i++) await model.infer(row(i))
    const before = model.stats()
    for (let i = 0; i < 7; i++) await model.infer(row(i))
    const between = model.stats().diff(before)
    expect(between.requests).toMatchObject({ submitted: 7, succeeded: 7, inFlight: 0 })
    expect(between.batches.count).toBe(7)
    expect(between.stages.compute.count).toBe(7)
    expect(() => between.diff({} as typeof before)).toThrow('stats()')
  })

  it('start anew after resetStats', async () => {
    const model = await slowEcho(0)
    await model.infer(row(1))
    model.resetStats()
    expect(model.stats()).toMatchObject({ requests: { submitted: 0, succeeded: 0 }, batches: { count: 0 } })
    expect(model.stats().stages.total.count).toBe(0)
    await model.infer(row(1))
    expect(model.stats().requests).toMatchObject({ submitted: 1, succeeded: 1, inFlight: 0 })
  })

  it('show a request in flight, also after a reset in the middle', async () => {
    const model = await slowEcho(100)
    const running = model.infer(row(1))
    expect(model.stats().requests).toMatchObject({ submitted: 1, succeeded: 0, inFlight: 1 })
    model.resetStats()
    await running
    expect(model.stats().requests.inFlight).toBe(0)
  })

  it('measure how late timers of the event loop fire', async () => {
    const model = await slowEcho(0)
    const before = model.stats()
    await sleep(30)
    const until = performance.now() + 120
    while (performance.now() < until);
    await sleep(50)
    expect(model.stats().diff(before).eventLoop.max).toBeGreaterThan(50_000)
  })
})

describe('the tracing channel subten:infer', () => {
  const channel = tracingChannel<unknown, InferEvent>('subten:infer')
  const stop: (() => void)[] = []
  afterEach(() => {
    for (const each of stop.splice(0)) each()
  })
  const noop = (): void => {}
  function subscribe(handlers: Partial<Record<'start' | 'asyncEnd' | 'error', (event: InferEvent) => void>>): void {
    const all = { start: noop, end: noop, asyncStart: noop, asyncEnd: noop, error: noop, ...handlers } as never
    channel.subscribe(all)
    stop.push(() => channel.unsubscribe(all))
  }

  it('tells subscribers of every request, its result, and the context of the caller', async () => {
    const model = await loaded('models/echo')
    const storage = new AsyncLocalStorage<string>()
    const seen: unknown[] = []
    subscribe({
      start: ({ model, version, id }) => seen.push(['start', model, version, id, storage.getStore()]),
      asyncEnd: ({ result }) =>
        seen.push(['end', (result as { output: { shape: number[] } }).output.shape, storage.getStore()]),
    })
    await storage.run('caller', () => model.infer(row(1), { id: 'r1' }))
    expect(seen).toEqual([
      ['start', 'echo', '1', 'r1', 'caller'],
      ['end', [1, 64], 'caller'],
    ])
    await model.inferMany([row(1), row(2)])
    expect(seen).toHaveLength(6)
  })

  it('tells of errors', async () => {
    const model = await loaded('models/echo', { parameters: { fail_every: 1 } })
    const errors: unknown[] = []
    subscribe({ error: ({ error }) => errors.push(error) })
    const error = await rejection(model.infer(row(1)))
    const refused = await rejection(model.infer({}))
    expect(errors).toEqual([error, refused])
  })
})

describe('withDeadline', () => {
  it('bounds everything that is awaited in it', async () => {
    const model = await slowEcho(150, { max_batch_size: 1 })
    const running = model.infer(row(1))
    const late = withDeadline(40, async () => {
      await sleep(1)
      return model.infer(row(2))
    })
    expect(await rejection(late)).toMatchObject({ code: 'DEADLINE_EXCEEDED' })
    await running
  })

  it('is never extended by an inner one, and leaves what is outside alone', async () => {
    const model = await slowEcho(150, { max_batch_size: 1 })
    const running = model.infer(row(1))
    const late = withDeadline(30, () => withDeadline(10_000, () => model.infer(row(2), { deadlineMs: 10_000 })))
    expect(await rejection(late)).toMatchObject({ code: 'DEADLINE_EXCEEDED' })
    await running
    expect((await model.infer(row(3))).output?.data).toEqual(row(3).input)
    for (const ms of [-1, Number.NaN, '5' as never])
      expect(thrown(() => withDeadline(ms, () => 1)).code).toBe('INVALID_INPUT')
  })
})

it('AsyncLocalStorage survives infer, inferMany and claim', async () => {
  const model = await slowEcho(1)
  const storage = new AsyncLocalStorage<number>()
  await Promise.all(
    Array.from({ length: 50 }, (_, i) =>
      storage.run(i, async () => {
        await model.infer(row(i))
        expect(storage.getStore()).toBe(i)
        await model.inferMany([row(i), row(i)])
        expect(storage.getStore()).toBe(i)
      }),
    ),
  )
})

it('the stack of an error shows the function that called infer', async () => {
  const model = await loaded('models/echo', { parameters: { fail_every: 1 } })
  async function theCallerOfInfer(): Promise<void> {
    await model.infer(row(1))
  }
  const error = await rejection(theCallerOfInfer())
  expect(error.stack).toContain('theCallerOfInfer')
  expect(error).toMatchObject({ name: 'SubtenError', code: 'ENGINE_FAILED' })
})
