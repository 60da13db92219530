import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from 'vitest'
import type { Model, ModelStream } from '../../src/runtime/types.js'
import { rejection } from '../unit/repository/thrown.js'
import { firstOf, triton, withTriton } from './triton.js'

const n = (value: number): { IN: Int32Array } => ({ IN: Int32Array.of(value) })

async function read(stream: ModelStream): Promise<number[]> {
  const seen: number[] = []
  for await (const part of stream) seen.push(firstOf(part, 'OUT'))
  return seen
}

/** Nothing is in flight, and nothing of the slab is held for a request. */
async function settled(model: Model, used: number): Promise<void> {
  for (let i = 0; i < 1000 && model.stats().memory.used > used; i++) await sleep(5)
  expect(model.stats().requests.inFlight).toBe(0)
  expect(model.stats().memory.used).toBeLessThanOrEqual(used)
}

withTriton('streams of repeat_py', ['repeat_py'], () => {
  it.each([0, 1, 2, 16, 17, 100])('of %d responses give them all', async (count) => {
    const model = await triton('repeat_py')
    expect(model.decoupled).toBe(true)
    expect(await read(model.stream(n(count)))).toHaveLength(count)
    expect(model.stats().requests).toMatchObject({ submitted: 1, succeeded: 1, inFlight: 0 })
  })

  it('are refused by infer()', async () => {
    const model = await triton('repeat_py')
    expect(await rejection(model.infer(n(1)))).toMatchObject({ code: 'NOT_SUPPORTED' })
  })

  it('end when the loop is left, by a signal, and by a deadline, and others go on', async () => {
    const model = await triton('repeat_py')
    const { used } = model.stats().memory
    const other = read(model.stream(n(200)))
    let seen = 0
    for await (const _ of model.stream(n(100_000))) if (++seen === 3) break
    const controller = new AbortController()
    const aborted = read(model.stream(n(100_000), { signal: controller.signal })).catch((error: unknown) => error)
    await sleep(30)
    controller.abort('enough')
    expect(await aborted).toBe('enough')
    expect(await rejection(read(model.stream(n(1_000_000), { deadlineMs: 50 })))).toMatchObject({
      code: 'DEADLINE_EXCEEDED',
    })
    expect(await other).toHaveLength(200)
    await settled(model, used)
    expect(model.stats().requests).toMatchObject({ submitted: 4, succeeded: 1, cancelled: 2, expired: 1 })
  })

  it('that are read slowly lose nothing', async () => {
    const model = await triton('repeat_py')
    let count = 0
    for await (const _ of model.stream(n(60))) {
      count++
      await sleep(2)
    }
    expect(count).toBe(60)
  })

  it('that nobody reads do not hold close() up', async () => {
    const model = await triton('repeat_py')
    const stream = model.stream(n(100_000))
    await sleep(50)
    await model.close()
    expect(await rejection(read(stream))).toMatchObject({ code: 'MODEL_CLOSED' })
  })

  it('many at once, left at random, return every slot', async () => {
    const model = await triton('repeat_py')
    const { used } = model.stats().memory
    const one = async (i: number): Promise<number> => {
      const leaveAt = i % 3 === 0 ? 1 + (i % 7) : Number.POSITIVE_INFINITY
      let seen = 0
      for await (const _ of model.stream(n(i % 23))) if (++seen === leaveAt) break
      return seen
    }
    for (let round = 0; round < 10; round++) {
      const counts = await Promise.all(Array.from({ length: 100 }, (_, i) => one(i)))
      expect(counts).toEqual(counts.map((_, i) => Math.min(i % 23, i % 3 === 0 ? 1 + (i % 7) : 1000)))
    }
    await settled(model, used)
  })
})
