import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { budgetLeft, withDeadline } from '../../../src/runtime/deadline.js'
import { fakeModel } from '../../../src/testing.js'
import { rejection, thrown } from '../repository/thrown.js'
import { contract, objective } from '../sla/objectives.js'
import { fakedScheduling } from './faked-scheduling.js'
import { loaded, row } from './loaded.js'

const spent = <T>(fn: () => T): Promise<T> => withDeadline(1, () => sleep(5).then(fn))

describe('withDeadline', () => {
  it('takes a finite number of milliseconds from 0', () => {
    for (const ms of [-1, -0.001, Number.NaN, Number.POSITIVE_INFINITY, '5', null, undefined, 5n] as number[]) {
      expect(thrown(() => withDeadline(ms, () => 1)).code).toBe('INVALID_INPUT')
    }
    expect(withDeadline(0, () => 1)).toBe(1)
    expect(() => withDeadline(5, () => JSON.parse('{'))).toThrow(SyntaxError)
  })

  it('is what is left, through everything that is awaited', async () => {
    expect(budgetLeft(undefined)).toBe(-1)
    await withDeadline(1000, async () => {
      await sleep(20)
      const left = await Promise.resolve().then(() => budgetLeft(undefined))
      expect(left).toBeLessThanOrEqual(981)
      expect(left).toBeGreaterThan(500)
      expect(budgetLeft(50)).toBe(50)
      expect(budgetLeft(Number.POSITIVE_INFINITY)).toBeLessThanOrEqual(left)
    })
    expect(budgetLeft(undefined)).toBe(-1)
  })

  it('ends a request that was aborted as well with the reason of its signal', async () => {
    const model = await loaded('models/echo')
    const reason = new Error('gone')
    const options = { signal: AbortSignal.abort(reason), deadlineMs: 0 }
    expect(await model.infer(row(1), options).catch((error: unknown) => error)).toBe(reason)
    const slot = await model.claim()
    expect(await slot.submit(options).catch((error: unknown) => error)).toBe(reason)
    slot.release()
    expect(
      await fakeModel({ inputs: [], outputs: [] })
        .infer({}, options)
        .catch((error: unknown) => error),
    ).toBe(reason)
  })

  it('of two the earlier holds, whichever is inside', async () => {
    await withDeadline(1000, async () => {
      withDeadline(10_000, () => expect(budgetLeft(undefined)).toBeLessThanOrEqual(1000))
      await withDeadline(100, async () => {
        expect(budgetLeft(undefined)).toBeLessThanOrEqual(100)
        expect(budgetLeft(undefined)).toBeGreaterThan(0)
      })
      expect(budgetLeft(undefined)).toBeGreaterThan(100)
    })
  })

  it('keeps handlers that run at once apart', async () => {
    const handler = (ms: number): Promise<number> =>
      withDeadline(ms, async () => {
        for (let i = 0; i < 5; i++) await sleep(1)
        return budgetLeft(undefined)
      })
    const lefts = await Promise.all([1000, 100_000, 10_000_000].map(handler))
    expect(lefts.map((left) => Math.ceil(Math.log10(left)))).toEqual([3, 5, 7])
  })

  it('gives requests of every kind the smaller of what is left and what they ask for', async () => {
    const faked = fakedScheduling()
    const model = await loaded('models/echo', { slo: { p99Ms: 20 }, latencyCache: false })
    faked.refuse = () => 'unreachable'
    const budgets = await withDeadline(500, async () => {
      const slot = await model.claim()
      const [many] = await model.inferMany([row(1)], { onError: 'settle', deadlineMs: 100_000 })
      return Promise.all([
        rejection(model.infer(row(1))),
        rejection(model.infer(row(1), { deadlineMs: 100 })),
        rejection(model.stream(row(1)).next()),
        rejection(slot.submit({ deadlineMs: 100_000 })),
        rejection(Promise.reject(many?.ok === false ? many.error : many)),
      ])
    })
    const [own, less, ...others] = budgets.map(({ details }) => details.budgetMs as number)
    expect(less).toBe(100)
    for (const left of [own, ...others]) {
      expect(left).toBeLessThanOrEqual(500)
      expect(left).toBeGreaterThan(100)
    }
  })

  it('and a contract that is enforced both hold, the earlier first', async () => {
    const faked = fakedScheduling()
    const indicator = { kind: 'latency', model: 'echo', point: 'engine', thresholdUs: 100_000 } as const
    const sla = contract(objective({ target: 0.99, enforce: true, indicator }))
    const model = await loaded('models/echo', { sla, slo: { p99Ms: 20 }, latencyCache: false })
    faked.refuse = () => 'unreachable'
    const budget = async (): Promise<unknown> => (await rejection(model.infer(row(1)))).details.budgetMs
    expect(await budget()).toBe(100)
    expect(await withDeadline(10_000, budget)).toBe(100)
    expect(await withDeadline(50, budget)).toBeLessThanOrEqual(50)
  })

  it('that is over ends requests of every kind at once, and native code never sees them', async () => {
    const faked = fakedScheduling()
    const model = await loaded('models/echo')
    const slot = await model.claim()
    const error = { code: 'DEADLINE_EXCEEDED' }
    expect(await rejection(spent(() => model.infer(row(1))))).toMatchObject(error)
    expect(await rejection(spent(() => model.infer(row(1), { deadlineMs: 10_000 })))).toMatchObject(error)
    expect(await rejection(spent(() => model.inferMany([row(1)])))).toMatchObject(error)
    expect(await rejection(spent(() => model.stream(row(1)).next()))).toMatchObject(error)
    expect(await rejection(spent(() => slot.submit()))).toMatchObject(error)
    expect(await rejection(spent(() => model.claim()))).toMatchObject(error)
    expect(faked.submitted).toEqual([])
    expect(model.stats().requests).toMatchObject({ submitted: 5, expired: 5, inFlight: 0 })
    slot.inputs.input?.data.fill(2 as never)
    expect((await slot.submit()).output?.data[0]).toBe(2)
    slot.release()
  })

  it('ends a claim that waits for a slot', async () => {
    const model = await loaded('models/echo', { maxQueueSize: 4 })
    const held = []
    for (let slot = model.tryClaim(); slot !== null; slot = model.tryClaim()) held.push(slot)
    expect(held.length).toBeGreaterThan(0)
    expect(await rejection(withDeadline(20, () => model.claim()))).toMatchObject({ code: 'DEADLINE_EXCEEDED' })
    for (const slot of held) slot.release()
    ;(await withDeadline(20_000, () => model.claim())).release()
  })

  it('holds for fake models', async () => {
    const spec = { inputs: [], outputs: [] }
    const slow = fakeModel(spec, { latencyMs: 200 })
    const began = performance.now()
    expect(await rejection(withDeadline(20, () => slow.infer({})))).toMatchObject({ code: 'DEADLINE_EXCEEDED' })
    expect(performance.now() - began).toBeLessThan(150)
    expect(await rejection(withDeadline(20, () => slow.stream({}).next()))).toMatchObject({ code: 'DEADLINE_EXCEEDED' })
    const fast = fakeModel(spec)
    expect(await rejection(spent(() => fast.infer({})))).toMatchObject({ code: 'DEADLINE_EXCEEDED' })
    await withDeadline(10_000, () => fast.infer({}))
    expect(fast.stats().requests).toMatchObject({ expired: 1, succeeded: 1 })
  })
})
