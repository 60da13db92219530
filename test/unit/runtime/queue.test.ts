import { getEventListeners } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import type { InferOptions, Model, Outputs } from '../../../src/runtime/types.js'
import { rejection } from '../repository/thrown.js'
import { floats, nullModel, row, slowEcho } from './loaded.js'

/** Without batching every request is a run of its own. */
const unbatched = { max_batch_size: 0, dynamic_batching: null, input: io('input'), output: io('output') }

function io(name: string): object[] {
  return [{ name, data_type: 'TYPE_FP32', dims: [64] }]
}

const first = (outputs: Outputs): number | undefined => floats(outputs.output)[0]

/** Submits rows 1…n and tells in which order they ended. */
async function order(model: Model, options: (InferOptions | undefined)[]): Promise<number[]> {
  const ended: number[] = []
  await Promise.all(options.map((each, i) => model.infer(row(i), each).then((out) => ended.push(first(out) as number))))
  return ended
}

describe('a full queue', () => {
  it('refuses at once with QUEUE_FULL, and takes requests again when there is room', async () => {
    const model = await slowEcho(50, { ...unbatched, maxQueueSize: 2 })
    const all = Array.from({ length: 8 }, (_, i) => model.infer(row(i)))
    const started = performance.now()
    const ended = await Promise.allSettled(all)
    expect(performance.now() - started).toBeGreaterThan(45)
    const refused = ended.filter((each) => each.status === 'rejected')
    expect(refused.length).toBeGreaterThanOrEqual(5)
    for (const { reason } of refused) expect(reason).toMatchObject({ code: 'QUEUE_FULL' })
    expect(model.stats().requests).toMatchObject({ refused: refused.length, succeeded: 8 - refused.length })
    expect(first(await model.infer(row(9)))).toBe(9)
  })

  it('refuses without waiting for the run in progress', async () => {
    const model = await slowEcho(400, { ...unbatched, maxQueueSize: 1 })
    const taken = [model.infer(row(1)), model.infer(row(2))]
    const started = performance.now()
    await expect(Promise.all([model.infer(row(3)), model.infer(row(4))])).rejects.toMatchObject({ code: 'QUEUE_FULL' })
    expect(performance.now() - started).toBeLessThan(300)
    await Promise.allSettled(taken)
  })

  it("lets requests wait, in order, where whenFull is 'wait'", async () => {
    const model = await slowEcho(1, { ...unbatched, maxQueueSize: 4, whenFull: 'wait' })
    expect(await order(model, Array.from({ length: 40 }))).toEqual(Array.from({ length: 40 }, (_, i) => i))
  })

  it('loses no slot to requests that turn out wrong once there is room', async () => {
    const model = await slowEcho(0, { maxQueueSize: 4 })
    const rows = Array.from({ length: 4000 }, (_, i) => (i % 2 ? row(i) : { input: new Float32Array(5) }))
    const ended = await model.inferMany(rows, { onError: 'settle' })
    expect(ended.map(({ ok }) => ok)).toEqual(rows.map((_, i) => i % 2 === 1))
    expect(first(await model.infer(row(9)))).toBe(9)
  })

  it('lets inferMany give more rows than fit', async () => {
    const model = await slowEcho(0, { maxQueueSize: 8 })
    const outputs = await model.inferMany(Array.from({ length: 1000 }, (_, i) => row(i)))
    expect(outputs.map(first)).toEqual(Array.from({ length: 1000 }, (_, i) => i))
  })

  it('expires a request that waits for room, and lets go of one that is aborted', async () => {
    const model = await slowEcho(300, { ...unbatched, maxQueueSize: 1, whenFull: 'wait' })
    const running = [model.infer(row(1)), model.infer(row(2))]
    await sleep(20)
    const controller = new AbortController()
    const aborted = model.infer(row(3), { signal: controller.signal })
    const late = model.infer(row(4), { deadlineMs: 30 })
    expect(await rejection(late)).toMatchObject({ code: 'DEADLINE_EXCEEDED' })
    expect(model.stats().requests.succeeded).toBe(0) // it did not wait for the engine
    controller.abort(new Error('enough'))
    await expect(aborted).rejects.toThrow('enough')
    await Promise.all(running)
    expect(first(await model.infer(row(5)))).toBe(5)
  })
})

describe('a deadline', () => {
  it('that passes in the queue ends the request with DEADLINE_EXCEEDED while the only instance is busy', async () => {
    const model = await slowEcho(400, unbatched)
    const running = model.infer(row(1))
    await sleep(10)
    expect(await rejection(model.infer(row(2), { deadlineMs: 20 }))).toMatchObject({ code: 'DEADLINE_EXCEEDED' })
    expect(model.stats().requests.succeeded).toBe(0) // it did not wait for the engine
    expect(first(await running)).toBe(1)
    expect(model.stats().requests).toMatchObject({ expired: 1, succeeded: 1, inFlight: 0 })
  })

  it('of 0 has passed at once, and an infinite one never does', async () => {
    const model = await slowEcho(20, unbatched)
    const running = model.infer(row(1))
    expect(await rejection(model.infer(row(2), { deadlineMs: 0 }))).toMatchObject({ code: 'DEADLINE_EXCEEDED' })
    expect(first(await model.infer(row(3), { deadlineMs: Number.POSITIVE_INFINITY }))).toBe(3)
    await running
  })

  it('may come from the queue policy of the model, which a request may override where it is allowed', async () => {
    const policy = { default_timeout_microseconds: 30_000, allow_timeout_override: true }
    const model = await slowEcho(200, { max_batch_size: 1, dynamic_batching: { default_queue_policy: policy } })
    const running = model.infer(row(1))
    await sleep(10)
    const [late, early] = await Promise.allSettled([model.infer(row(2)), model.infer(row(3), { timeoutUs: 10_000 })])
    for (const each of [late, early]) expect(each).toMatchObject({ reason: { code: 'DEADLINE_EXCEEDED' } })
    await running
  })
})

describe('an abort', () => {
  it('of a queued request rejects with the reason of the signal and frees its place', async () => {
    const model = await slowEcho(100, unbatched)
    const running = model.infer(row(1))
    const controller = new AbortController()
    const queued = model.infer(row(2), { signal: controller.signal })
    const reason = { why: 'not needed' }
    controller.abort(reason)
    await expect(queued).rejects.toBe(reason)
    expect(first(await running)).toBe(1)
    expect(model.stats().requests).toMatchObject({ cancelled: 1, succeeded: 1, inFlight: 0 })
    expect(model.stats().batches.count).toBe(1)
  })

  it('of a running request rejects at once, and the slot is used again only after the run', async () => {
    const model = await slowEcho(300, unbatched)
    const controller = new AbortController()
    const running = model.infer(row(1), { signal: controller.signal })
    await sleep(30)
    const started = performance.now()
    controller.abort()
    await expect(running).rejects.toMatchObject({ name: 'AbortError' })
    expect(performance.now() - started).toBeLessThan(200)
    expect(await order(model, [undefined, undefined])).toEqual([0, 1])
  })

  it('before the call rejects without submitting', async () => {
    const model = await slowEcho(0)
    const reason = new Error('already')
    await expect(model.infer(row(1), { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    expect(model.stats().requests.submitted).toBe(0)
  })

  it('of a hundred requests hangs on one listener, which goes with the last of them', async () => {
    const model = await slowEcho(10)
    const { signal } = new AbortController()
    const all = Array.from({ length: 100 }, (_, i) => model.infer(row(i), { signal }))
    expect(getEventListeners(signal, 'abort')).toHaveLength(1)
    await Promise.all(all)
    expect(getEventListeners(signal, 'abort')).toHaveLength(0)
  })

  it('of a hundred requests at once ends them all, and the model goes on', async () => {
    const model = await slowEcho(20, unbatched)
    const controller = new AbortController()
    const all = Array.from({ length: 100 }, (_, i) => model.infer(row(i), { signal: controller.signal }))
    await sleep(30)
    controller.abort()
    const ended = await Promise.allSettled(all)
    expect(ended.filter((each) => each.status === 'rejected').length).toBeGreaterThan(90)
    expect(first(await model.infer(row(5)))).toBe(5)
    expect(model.stats().requests.inFlight).toBe(0)
  })
})

describe('priorities', () => {
  it('put higher requests before lower ones that came earlier', async () => {
    const model = await slowEcho(60, {
      max_batch_size: 1,
      dynamic_batching: { priority_levels: 3, default_priority_level: 2 },
    })
    const running = model.infer(row(9))
    await sleep(10)
    const levels = [{ priority: 3 }, { priority: 2 }, undefined, { priority: 1 }, { priority: 3 }]
    expect(await order(model, levels)).toEqual([3, 1, 2, 0, 4])
    await running
  })

  it('have queues of their own', async () => {
    const model = await slowEcho(100, {
      max_batch_size: 1,
      dynamic_batching: {
        priority_levels: 2,
        default_priority_level: 1,
        priority_queue_policy: { 2: { max_queue_size: 1 } },
      },
    })
    const ended = await Promise.allSettled([1, 2, 2, 2, 1].map((priority) => model.infer(row(priority), { priority })))
    expect(ended.map((each) => each.status).filter((status) => status === 'rejected').length).toBe(2)
    expect(ended[4]?.status).toBe('fulfilled')
  })
})

it('with preserve_ordering four instances answer in the order of the requests', async () => {
  const model = await nullModel(`
    max_batch_size: 1
    input [{ name: "input" data_type: TYPE_FP32 dims: [ 64 ] }]
    output [{ name: "output" data_type: TYPE_FP32 dims: [ 64 ] }]
    instance_group [{ count: 4 kind: KIND_CPU }]
    dynamic_batching { preserve_ordering: true }
    parameters { key: "busy_us" value { string_value: "500" } }`)
  expect(await order(model, Array.from({ length: 200 }))).toEqual(Array.from({ length: 200 }, (_, i) => i))
})
