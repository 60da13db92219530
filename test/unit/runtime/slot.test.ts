import { getEventListeners } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import type { InferOptions, Model, Slot } from '../../../src/runtime/types.js'
import { rejection, thrown } from '../repository/thrown.js'
import { floats, loaded, nullModel, row, slowEcho } from './loaded.js'

function write(slot: Slot, value: number): Float32Array {
  const data = slot.inputs.input?.data as Float32Array
  data.fill(value)
  return data
}

/** Every slot that the model gives out. */
function claimAll(model: Model): Slot[] {
  const slots: Slot[] = []
  for (let slot = model.tryClaim(); slot !== null; slot = model.tryClaim()) slots.push(slot)
  return slots
}

it('a slot is written in place and its result read in place', async () => {
  const model = await loaded('models/echo')
  const slot = await model.claim()
  expect(slot.inputs.input).toMatchObject({ datatype: 'FP32', shape: [1, 64] })
  write(slot, 7)
  const { output, timing } = await slot.submit({ trace: true })
  expect(output).toMatchObject({ datatype: 'FP32', shape: [1, 64], data: row(7).input })
  expect(timing?.batchSize).toBe(1)
  slot.release()
})

it('after release every view is stale, and arrays kept from before are empty', async () => {
  const model = await loaded('models/echo')
  const slot = await model.claim()
  const input = slot.inputs.input
  const written = write(slot, 7)
  const { output } = await slot.submit()
  const read = output?.data as Float32Array
  expect(read).toHaveLength(64)
  slot.release()
  for (const tensor of [input, output]) expect(thrown(() => tensor?.data)).toMatchObject({ code: 'SLOT_RELEASED' })
  expect(written).toHaveLength(0)
  expect(read).toHaveLength(0)
  expect(await rejection(slot.submit())).toMatchObject({ code: 'SLOT_RELEASED' })
  slot.release()
  slot[Symbol.dispose]()
})

it('a slot may be submitted again; the outputs of the run before are stale then', async () => {
  const model = await loaded('models/echo')
  const slot = await model.claim()
  write(slot, 1)
  const first = await slot.submit()
  const kept = first.output?.data as Float32Array
  for (let value = 2; value < 50; value++) {
    write(slot, value)
    expect((await slot.submit()).output?.data).toEqual(row(value).input)
  }
  expect(thrown(() => first.output?.data)).toMatchObject({ code: 'SLOT_RELEASED' })
  expect(kept).toHaveLength(0)
  slot.release()
  expect(model.stats().requests).toMatchObject({ submitted: 49, succeeded: 49 })
})

it('a slot in flight is not submitted twice', async () => {
  const model = await slowEcho(20)
  const slot = await model.claim()
  const running = slot.submit()
  expect(await rejection(slot.submit())).toMatchObject({ code: 'INVALID_INPUT' })
  await running
})

it('slots may carry rows, and shapes where the model leaves dimensions open', async () => {
  const echo = await loaded('models/echo')
  const slot = await echo.claim({ rows: 3 })
  expect(slot.inputs.input?.shape).toEqual([3, 64])
  write(slot, 4)
  expect((await slot.submit()).output).toMatchObject({ shape: [3, 64], data: new Float32Array(192).fill(4) })
  const open = await loaded('test/data/onnx/add_dynamic.onnx', { max_batch_size: 0 })
  const pair = await open.claim({ shapes: { a: [2, 3], b: [2, 3] } })
  floats(pair.inputs.a).fill(1)
  floats(pair.inputs.b).fill(2)
  expect((await pair.submit()).sum).toMatchObject({ shape: [2, 3], data: new Float32Array(6).fill(3) })
})

it('inputs whose names look like indices keep their places', async () => {
  const model = await nullModel(`
    max_batch_size: 4
    input [{ name: "b" data_type: TYPE_FP32 dims: [ 2 ] }, { name: "0" data_type: TYPE_FP32 dims: [ 3 ] }]
    output [{ name: "out_b" data_type: TYPE_FP32 dims: [ 2 ] }, { name: "out_0" data_type: TYPE_FP32 dims: [ 3 ] }]`)
  const slot = await model.claim()
  floats(slot.inputs.b).set([1, 2])
  floats(slot.inputs['0']).set([3, 4, 5])
  const outputs = await slot.submit()
  expect(outputs.out_b?.data).toEqual(Float32Array.of(1, 2))
  expect(outputs.out_0?.data).toEqual(Float32Array.of(3, 4, 5))
})

it.each([
  [{ rows: 65 }, 'BATCH_TOO_LARGE'],
  [{ rows: 0 }, 'INVALID_INPUT'],
  [{ rows: 1.5 }, 'INVALID_INPUT'],
  [{ shapes: { input: [1, 63] } }, 'INVALID_INPUT'],
  [{ shapes: { input: [2, 64] } }, 'INVALID_INPUT'],
  [{ shapes: { input: 64 as never } }, 'INVALID_INPUT'],
])('claim(%j) is %s', async (options, code) => {
  const model = await loaded('models/echo')
  expect(await rejection(model.claim(options))).toMatchObject({ code })
  expect(thrown(() => model.tryClaim(options))).toMatchObject({ code })
})

it('open dimensions and strings are refused with what to do', async () => {
  const open = await loaded('test/data/onnx/add_dynamic.onnx')
  expect(thrown(() => open.tryClaim()).message).toContain("give claim({ shapes: { 'a': [...] } })")
  const strings = await loaded('test/data/onnx/identity_bytes.onnx')
  expect(thrown(() => strings.tryClaim())).toMatchObject({
    code: 'NOT_SUPPORTED',
    message: expect.stringContaining("'x'"),
  })
})

describe('the cap', () => {
  it('makes tryClaim return null and claim wait until a slot is released', async () => {
    const model = await loaded('models/echo', { maxQueueSize: 16 })
    const slots = claimAll(model)
    expect(slots.length).toBeGreaterThan(0)
    const waiting = model.claim()
    expect(await Promise.race([waiting, sleep(30, 'waits')])).toBe('waits')
    slots[0]?.release()
    const slot = await waiting
    write(slot, 3)
    expect((await slot.submit()).output?.data).toEqual(row(3).input)
    // infer() has slots of its own left.
    expect((await model.infer(row(5))).output?.data).toEqual(row(5).input)
  })

  it('is the same after many slots were claimed, submitted, aborted and released', async () => {
    const model = await slowEcho(1, { maxQueueSize: 16 })
    const limit = claimAll(model)
    for (const slot of limit) slot.release()
    for (let i = 0; i < 200; i++) {
      const slot = await model.claim()
      const controller = new AbortController()
      const running = slot.submit({ signal: controller.signal }).catch(() => undefined)
      if (i % 4 === 0) controller.abort()
      if (i % 4 === 1) slot.release()
      await running
      if (i % 4 !== 3) slot.release()
      else slot[Symbol.dispose]()
    }
    await sleep(20)
    expect(claimAll(model)).toHaveLength(limit.length)
    expect(model.stats().requests.inFlight).toBe(0)
  })

  it('lets go of a claim that is aborted, with one listener on the signal', async () => {
    const model = await loaded('models/echo', { maxQueueSize: 16 })
    claimAll(model)
    const controller = new AbortController()
    const waiting = Array.from({ length: 50 }, () => model.claim({ signal: controller.signal }))
    await sleep(5)
    expect(getEventListeners(controller.signal, 'abort').length).toBeLessThanOrEqual(1)
    const reason = new Error('enough')
    controller.abort(reason)
    for (const each of await Promise.allSettled(waiting)) expect(each).toMatchObject({ status: 'rejected', reason })
  })
})

describe('claims that wait', () => {
  it('are served in order, however many there are', async () => {
    const model = await loaded('models/echo', { maxQueueSize: 16 })
    const slots = claimAll(model)
    const order: number[] = []
    const waiting = Array.from({ length: 20_000 }, (_, i) =>
      model.claim().then((slot) => {
        order.push(i)
        slot.release()
      }),
    )
    for (const slot of slots) slot.release()
    const late = model.claim().then((slot) => {
      order.push(-1)
      slot.release()
    })
    await Promise.all([...waiting, late])
    expect(order).toEqual([...waiting.keys(), -1])
  })

  it('say at once what is wrong, and end when the model is closed', async () => {
    const model = await loaded('models/echo', { maxQueueSize: 16 })
    claimAll(model)
    const waiting = [rejection(model.claim()), rejection(model.claim())]
    expect(await rejection(model.claim({ rows: 65 }))).toMatchObject({ code: 'BATCH_TOO_LARGE' })
    await model.close()
    for (const each of waiting) expect(await each).toMatchObject({ code: 'MODEL_CLOSED' })
  })
})

describe('a slot whose request', () => {
  it('is aborted while it runs rejects with the reason and is released', async () => {
    const model = await slowEcho(100)
    const slot = await model.claim()
    const data = write(slot, 1)
    const controller = new AbortController()
    const running = slot.submit({ signal: controller.signal })
    await sleep(20)
    controller.abort(new Error('enough'))
    await expect(running).rejects.toThrow('enough')
    expect(data).toHaveLength(0)
    expect(await rejection(slot.submit())).toMatchObject({ code: 'SLOT_RELEASED' })
    expect((await model.infer(row(2))).output?.data).toEqual(row(2).input)
  })

  it('is released while it runs ends with SLOT_RELEASED', async () => {
    const model = await slowEcho(50)
    const slot = await model.claim()
    const running = slot.submit()
    await sleep(10)
    slot.release()
    expect(await rejection(running)).toMatchObject({ code: 'SLOT_RELEASED' })
    expect((await model.infer(row(2))).output?.data).toEqual(row(2).input)
  })

  it('is refused for its options, or fails, may be submitted again', async () => {
    const model = await loaded('models/echo', { parameters: { fail_every: 2 } })
    const slot = await model.claim()
    write(slot, 6)
    const bad: InferOptions[] = [{ deadlineMs: Number.NaN }, { priority: -1 }, { signal: {} as AbortSignal }]
    for (const options of bad) expect(await rejection(slot.submit(options))).toMatchObject({ code: 'INVALID_INPUT' })
    const reason = new Error('before')
    await expect(slot.submit({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    expect((await slot.submit()).output?.data).toEqual(row(6).input)
    expect(await rejection(slot.submit())).toMatchObject({ code: 'ENGINE_FAILED' })
    expect((await slot.submit()).output?.data).toEqual(row(6).input)
  })
})

it('close() takes slots that are held, and submits of them are MODEL_CLOSED or SLOT_RELEASED', async () => {
  const model = await slowEcho(30)
  const [idle, running] = [await model.claim(), await model.claim()]
  write(running, 8)
  const result = running.submit()
  const closing = model.close()
  expect(await rejection(idle.submit())).toMatchObject({ code: 'MODEL_CLOSED' })
  expect((await result).output?.shape).toEqual([1, 64])
  await closing
  expect(await rejection(idle.submit())).toMatchObject({ code: 'SLOT_RELEASED' })
  expect(await rejection(model.claim())).toMatchObject({ code: 'MODEL_CLOSED' })
  expect(thrown(() => model.tryClaim())).toMatchObject({ code: 'MODEL_CLOSED' })
  idle.release()
})
