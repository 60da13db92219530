import { AsyncLocalStorage } from 'node:async_hooks'
import { tracingChannel } from 'node:diagnostics_channel'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { withDeadline } from '../../../src/runtime/deadline.js'
import type { StreamEvent } from '../../../src/runtime/diagnostics.js'
import type { LoadOptions, Model, ModelStream } from '../../../src/runtime/types.js'
import { rejection } from '../repository/thrown.js'
import { floats, loaded, nullModel, row, slowEcho } from './loaded.js'

/** models/echo with so many responses a request. */
function parted(parts: number, options: LoadOptions = {}): Promise<Model> {
  return loaded('models/echo', { ...options, parameters: { parts, ...options.parameters } })
}

async function values(stream: ModelStream): Promise<number[]> {
  const seen: number[] = []
  for await (const part of stream) seen.push(floats(part.output)[0] as number)
  return seen
}

/** What lies in the memory of models/echo while nothing is in flight: home rows. */
const HOME_ROWS = 16_384 * 256

/** Nothing of the model is in flight any more, and its memory is back. */
async function settled(model: Model): Promise<void> {
  for (let i = 0; i < 500 && model.stats().memory.used > HOME_ROWS; i++) await sleep(2)
  expect(model.stats()).toMatchObject({ requests: { inFlight: 0 }, memory: { used: HOME_ROWS } })
}

describe('a stream', () => {
  it.each([0, 1, 2, 15, 16, 17, 100, 1000])('of %d parts gives them all, then ends', async (parts) => {
    const model = await parted(parts)
    // One part is an ordinary model: its response is the end as well.
    expect(await values(model.stream(row(7)))).toEqual(Array.from({ length: parts }, () => 7))
    expect(model.stats().requests).toMatchObject({ submitted: 1, succeeded: 1, inFlight: 0 })
  })

  it('of an ordinary model has one part, as of one with a batch of rows', async () => {
    const digits = await loaded('models/digits')
    const image = new Float32Array(64).fill(3)
    const parts = []
    for await (const part of digits.stream({ image })) parts.push(part)
    expect(parts).toEqual([await digits.infer({ image })])
    const echo = await parted(3)
    const two = { input: { data: new Float32Array(128).fill(2), shape: [2, 64] } }
    for await (const { output } of echo.stream(two)) expect(output?.shape).toEqual([2, 64])
  })

  it('sends its request at once: inputs may be changed afterwards, and parts are copies', async () => {
    const model = await parted(3)
    const inputs = row(1)
    const stream = model.stream(inputs)
    inputs.input.fill(9)
    const parts = []
    for await (const { output } of stream) parts.push(floats(output))
    expect(parts.map((each) => each[0])).toEqual([1, 1, 1])
    parts[0]?.fill(5)
    expect(parts[1]?.[0]).toBe(1)
  })

  it('is an iterator as well: done stays done, several readers get parts in order', async () => {
    const model = await parted(2)
    const stream = model.stream(row(4))
    expect(stream[Symbol.asyncIterator]()).toBe(stream)
    const steps = await Promise.all([stream.next(), stream.next(), stream.next(), stream.next()])
    expect(steps.map(({ done }) => done)).toEqual([false, false, true, true])
    expect(await stream.next()).toEqual({ value: undefined, done: true })
  })

  it('many at once keep their parts apart', async () => {
    const model = await parted(40)
    const all = await Promise.all(Array.from({ length: 60 }, (_, i) => values(model.stream(row(i)))))
    expect(all).toEqual(Array.from({ length: 60 }, (_, i) => Array.from({ length: 40 }, () => i)))
    await settled(model)
  })

  it('has timing on its parts where it is asked for, and large parts', async () => {
    const model = await nullModel(
      `input [{ name: "x" data_type: TYPE_FP32 dims: [ 20000 ] }]
       output [{ name: "y" data_type: TYPE_FP32 dims: [ 20000 ] }] parameters { key: "parts" value { string_value: "5" } }`,
    )
    for await (const { y, timing } of model.stream({ x: new Float32Array(20_000).fill(3) }, { trace: true })) {
      expect(floats(y)[19_999]).toBe(3)
      expect(timing?.total).toBeGreaterThan(0)
    }
  })
})

describe('leaving a stream', () => {
  it('by break cancels the request, and its slot comes back', async () => {
    const model = await parted(100_000)
    for (let round = 0; round < 20; round++) {
      let seen = 0
      for await (const _ of model.stream(row(1))) if (++seen === 3) break
    }
    await settled(model)
    expect(model.stats().requests).toMatchObject({ submitted: 20, cancelled: 20, inFlight: 0 })
  })

  it('by return() ends readers that wait, and may be repeated', async () => {
    const model = await slowEcho(50)
    const stream = model.stream(row(1))
    const waiting = stream.next()
    expect(await stream.return()).toEqual({ value: undefined, done: true })
    expect(await waiting).toEqual({ value: undefined, done: true })
    expect(await stream.return()).toEqual({ value: undefined, done: true })
    expect(await stream.next()).toEqual({ value: undefined, done: true })
    await settled(model)
  })

  it('by throw() rejects with what was thrown', async () => {
    const model = await parted(100_000)
    const stream = model.stream(row(1))
    await stream.next()
    const mine = new Error('mine')
    expect(await stream.throw(mine).catch((error: unknown) => error)).toBe(mine)
    expect(await stream.next()).toEqual({ value: undefined, done: true })
    await settled(model)
  })

  it('by its symbol cancels', async () => {
    const model = await parted(100_000)
    await model.stream(row(1))[Symbol.asyncDispose]()
    await settled(model)
  })
})

describe('a signal', () => {
  it('ends a stream in the middle with its reason', async () => {
    const model = await parted(100_000)
    const controller = new AbortController()
    const reason = new Error('enough')
    const run = (async () => {
      let seen = 0
      for await (const _ of model.stream(row(1), { signal: controller.signal })) {
        if (++seen === 5) controller.abort(reason)
      }
    })()
    expect(await run.catch((error: unknown) => error)).toBe(reason)
    await settled(model)
  })

  it('that was aborted before sends nothing', async () => {
    const model = await parted(2)
    const stream = model.stream(row(1), { signal: AbortSignal.abort('no') })
    expect(await stream.next().catch((error: unknown) => error)).toBe('no')
    expect(await stream.next()).toEqual({ value: undefined, done: true })
    expect(model.stats().requests.submitted).toBe(0)
  })
})

describe('a deadline', () => {
  it('is the budget of the whole stream', async () => {
    const model = await parted(1e9)
    const run = async (): Promise<void> => {
      for await (const _ of model.stream(row(1), { deadlineMs: 30 })) await sleep(1)
    }
    const error = await rejection(run())
    expect(error).toMatchObject({ code: 'DEADLINE_EXCEEDED' })
    expect(error.stack).toContain('stream.test.ts')
    await settled(model)
  })

  it('of withDeadline holds for streams, and one that is kept ends nothing', async () => {
    const model = await parted(1e9)
    expect(await rejection(withDeadline(20, () => values(model.stream(row(1)))))).toMatchObject({
      code: 'DEADLINE_EXCEEDED',
    })
    const short = await parted(3)
    expect(await values(short.stream(row(1), { deadlineMs: 5000 }))).toHaveLength(3)
  })
})

describe('errors', () => {
  it('of arguments come from the stream, with a stack that shows who reads it', async () => {
    const model = await parted(2)
    for (const [inputs, options, code] of [
      [{ wrong: new Float32Array(64) }, {}, 'INVALID_INPUT'],
      [{ input: new Float32Array(3) }, {}, 'INVALID_INPUT'],
      [row(1), { priority: -1 }, 'INVALID_INPUT'],
      [row(1), { deadlineMs: Number.NaN }, 'INVALID_INPUT'],
      [row(1), { sequence: { id: 5 } }, 'NOT_SUPPORTED'],
      [row(1), { parameters: { a: 1 } }, 'NOT_SUPPORTED'],
    ] as const) {
      expect(await rejection(values(model.stream(inputs as never, options)))).toMatchObject({ code })
    }
    await settled(model)
  })

  it('of the engine come after the parts before them', async () => {
    const model = await parted(5, { parameters: { fail_every: 2 } })
    expect(await values(model.stream(row(1)))).toHaveLength(5)
    const stream = model.stream(row(1))
    const error = await rejection(values(stream))
    expect(error).toMatchObject({ code: 'ENGINE_FAILED' })
    expect(error.stack).toContain('values')
    expect(await stream.next()).toEqual({ value: undefined, done: true })
  })

  it('of a full queue and of a closed model are those of infer()', async () => {
    const model = await slowEcho(20, { max_batch_size: 1, maxQueueSize: 1, parameters: { parts: 2 } })
    const first = Array.from({ length: 8 }, () => values(model.stream(row(1))))
    const ended = await Promise.allSettled(first)
    const codes = ended.flatMap((each) => (each.status === 'rejected' ? [(each.reason as { code: string }).code] : []))
    expect(codes.length).toBeGreaterThan(0)
    expect(new Set(codes)).toEqual(new Set(['QUEUE_FULL']))
    await model.close()
    expect(await rejection(values(model.stream(row(1))))).toMatchObject({ code: 'MODEL_CLOSED' })
  })

  it("with whenFull: 'wait' a stream waits for room", async () => {
    const model = await slowEcho(2, { max_batch_size: 1, maxQueueSize: 1, whenFull: 'wait', parameters: { parts: 3 } })
    const all = await Promise.all(Array.from({ length: 20 }, (_, i) => values(model.stream(row(i)))))
    expect(all.map((each) => each.length)).toEqual(Array.from({ length: 20 }, () => 3))
  })

  it('infer() refuses a decoupled model and says what to do', async () => {
    const model = await parted(2)
    const error = await rejection(model.infer(row(1)))
    expect(error).toMatchObject({ code: 'NOT_SUPPORTED', remedy: expect.stringContaining('model.stream') })
  })
})

describe('close()', () => {
  it('waits for streams that are read', async () => {
    const model = await parted(200)
    const run = values(model.stream(row(2)))
    const closing = model.close()
    expect(await run).toHaveLength(200)
    await closing
  })

  it('gives up a stream that is full and that nobody reads; what has come may be read afterwards', async () => {
    const model = await parted(1e9)
    const stream = model.stream(row(2))
    await sleep(20)
    await model.close()
    const error = await rejection(values(stream))
    expect(error).toMatchObject({ code: 'MODEL_CLOSED' })
  })
})

describe('who listens', () => {
  const channel = tracingChannel<unknown, StreamEvent>('subten:stream')
  const seen: string[] = []
  const handlers = {
    start: (event: unknown) => seen.push(`start ${(event as StreamEvent).id}`),
    asyncEnd: (event: unknown) => seen.push(`end ${(event as StreamEvent).result}`),
    error: (event: unknown) => seen.push(`error ${((event as StreamEvent).error as { code: string }).code}`),
  }
  afterEach(() => channel.unsubscribe(handlers as never))

  it('on subten:stream gets the beginning and the end of each stream', async () => {
    const model = await parted(3)
    channel.subscribe(handlers as never)
    await values(model.stream(row(1), { id: 'a' }))
    await rejection(values(model.stream({}, { id: 'b' })))
    await sleep(5)
    expect(seen).toEqual(['start a', 'end 3', 'start b', 'error INVALID_INPUT', 'end undefined'])
  })

  it('in a loop body has the AsyncLocalStorage of the caller', async () => {
    const storage = new AsyncLocalStorage<number>()
    const model = await parted(50)
    const run = (id: number): Promise<void> =>
      storage.run(id, async () => {
        for await (const _ of model.stream(row(id))) expect(storage.getStore()).toBe(id)
      })
    await Promise.all(Array.from({ length: 10 }, (_, i) => run(i)))
  })
})
