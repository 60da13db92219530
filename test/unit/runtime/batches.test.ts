import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import type { SubtenError } from '../../../src/runtime/errors.js'
import type { Outputs } from '../../../src/runtime/types.js'
import { rejection } from '../repository/thrown.js'
import { loaded, nullModel, row, slowEcho } from './loaded.js'

const delay = { max_queue_delay_microseconds: 500_000 }
const traced = { trace: true }

function rows(count: number): { input: Float32Array }[] {
  return Array.from({ length: count }, (_, i) => row(i))
}

function reasons(outputs: readonly Outputs[]): Set<string | undefined> {
  return new Set(outputs.map((each) => each.timing?.reason))
}

describe('a batch goes', () => {
  it("at once when an instance is idle and no delay is set ('idle')", async () => {
    const model = await loaded('models/echo')
    const { timing } = await model.infer(row(1), traced)
    expect(timing).toMatchObject({ reason: 'idle', batchSize: 1 })
  })

  it("when it is full ('full'), whatever the delay", async () => {
    const model = await loaded('models/echo', { max_batch_size: 8, dynamic_batching: delay })
    const started = performance.now()
    const outputs = await model.inferMany(rows(16), traced)
    expect(performance.now() - started).toBeLessThan(400)
    expect(reasons(outputs)).toEqual(new Set(['full']))
    expect(outputs.map((each) => each.timing?.batchSize)).toEqual(Array.from({ length: 16 }, () => 8))
    expect(model.stats().batches).toMatchObject({ count: 2, meanSize: 8, byReason: { full: 2, delay: 0, idle: 0 } })
  })

  it("when it has a preferred size ('preferred')", async () => {
    const model = await loaded('models/echo', { dynamic_batching: { ...delay, preferred_batch_size: [4, 8] } })
    const started = performance.now()
    const outputs = await model.inferMany(rows(8), traced)
    expect(performance.now() - started).toBeLessThan(400)
    expect(reasons(outputs)).toEqual(new Set(['preferred']))
    expect(model.stats().batches.byReason.preferred).toBeGreaterThan(0)
  })

  it("when its oldest request has waited as long as it may ('delay')", async () => {
    const short = { max_queue_delay_microseconds: 50_000 }
    const model = await loaded('models/echo', { dynamic_batching: short })
    const started = performance.now()
    const outputs = await model.inferMany(rows(3), traced)
    expect(performance.now() - started).toBeGreaterThan(45)
    expect(reasons(outputs)).toEqual(new Set(['delay']))
    expect(outputs[0]?.timing).toMatchObject({ batchSize: 3 })
    expect(outputs[0]?.timing?.queue).toBeGreaterThan(25_000)
  })

  it("before a deadline that comes sooner than the delay ends ('deadline')", async () => {
    const model = await loaded('models/echo', { dynamic_batching: { max_queue_delay_microseconds: 5_000_000 } })
    // It leaves a fifth of a millisecond before; on a busy machine it may wake too late and the request expires.
    const reasons: unknown[] = []
    for (let i = 0; i < 40 && reasons.at(-1) !== 'deadline'; i++) {
      const reason = model.infer(row(1), { deadlineMs: 50, trace: true }).then(({ timing }) => timing?.reason)
      reasons.push(await reason.catch((error: SubtenError) => error.code))
    }
    expect(reasons.pop()).toBe('deadline')
    expect(new Set(reasons)).toEqual(new Set(reasons.length > 0 ? ['DEADLINE_EXCEEDED'] : []))
  })
})

it('requests of several rows are batched with others and get their own rows back', async () => {
  const model = await slowEcho(5, { dynamic_batching: {} })
  const sizes = [1, 5, 2, 64, 3, 1, 20, 40]
  const inputs = sizes.map((size, i) => ({ input: { data: new Float32Array(size * 64).fill(i), shape: [size, 64] } }))
  const outputs = await model.inferMany(inputs, traced)
  for (const [i, each] of outputs.entries()) {
    expect(each.output).toMatchObject({ shape: [sizes[i], 64], data: inputs[i]?.input.data })
    expect(each.timing?.batchSize).toBeLessThanOrEqual(64)
  }
  expect(model.stats().batches.count).toBeLessThan(sizes.length)
})

it('requests of unlike shapes never share a batch', async () => {
  const model = await nullModel(`
    max_batch_size: 16
    input [{ name: "input" data_type: TYPE_FP32 dims: [ -1 ] }]
    output [{ name: "output" data_type: TYPE_FP32 dims: [ -1 ] }]
    dynamic_batching { max_queue_delay_microseconds: 20000 }`)
  const inputs = Array.from({ length: 40 }, (_, i) => ({ input: new Float32Array(1 + (i % 3)).fill(i) }))
  const outputs = await model.inferMany(inputs, traced)
  outputs.forEach((each, i) => {
    expect(each.output).toMatchObject({ shape: [1, 1 + (i % 3)], data: inputs[i]?.input })
    expect(each.timing?.batchSize).toBeLessThanOrEqual(14)
  })
})

it('a request that fails in a batch fails alone', async () => {
  const model = await loaded('models/echo', {
    dynamic_batching: delay,
    max_batch_size: 8,
    parameters: { fail_every: 4 },
  })
  const settled = await model.inferMany(rows(8), { onError: 'settle', trace: true })
  expect(settled.map((each) => each.ok)).toEqual([true, true, true, false, true, true, true, false])
  settled.forEach((each, i) => {
    if (each.ok) expect(each.value.output?.data).toEqual(row(i).input)
    else expect(each.error).toMatchObject({ code: 'ENGINE_FAILED', message: expect.stringContaining('fail_every') })
  })
  expect(model.stats()).toMatchObject({ requests: { failed: 2, succeeded: 6 }, batches: { count: 1 } })
})

it('inferMany rejects with the first failure, and the rest still ends', async () => {
  const model = await loaded('models/echo', { parameters: { fail_every: 5 } })
  expect(await rejection(model.inferMany(rows(20)))).toMatchObject({ code: 'ENGINE_FAILED' })
  await model.close()
  const other = await loaded('models/echo')
  expect(await rejection(other.inferMany(5 as never))).toMatchObject({ code: 'INVALID_INPUT' })
  expect(await other.inferMany([])).toEqual([])
})

it('an engine that completes on a thread of its own gives the same', async () => {
  const model = await slowEcho(1, { parameters: { completion: 'async' } })
  const outputs = await model.inferMany(rows(100))
  for (const [i, each] of outputs.entries()) expect(each.output?.data).toEqual(row(i).input)
  expect(() => model.inferSync(row(1))).toThrow(expect.objectContaining({ code: 'NOT_SUPPORTED' }))
})

it('a decoupled model is not for infer', async () => {
  const model = await loaded('models/echo', { parameters: { parts: 3 } })
  expect(await rejection(model.infer(row(1)))).toMatchObject({ code: 'NOT_SUPPORTED' })
  expect(() => model.inferSync(row(1))).toThrow(expect.objectContaining({ code: 'NOT_SUPPORTED' }))
})

it('several instances run at the same time', async () => {
  const model = await slowEcho(0, { max_batch_size: 1, instance_group: [{ count: 4 }], parameters: { busy_us: 1000 } })
  const outputs = await model.inferMany(rows(200))
  for (const [i, each] of outputs.entries()) expect(each.output?.data).toEqual(row(i).input)
  await sleep(1)
  expect(model.stats().requests).toMatchObject({ succeeded: 200, inFlight: 0 })
})
