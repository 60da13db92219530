import { expect, it } from 'vitest'
import { addon, type NativePort, succeeded } from '../../../src/runtime/binding.js'
import { type ModelInfo, NativeModel } from '../../../src/runtime/model.js'
import type { InferOptions } from '../../../src/runtime/types.js'
import { rejection } from '../repository/thrown.js'
import { closedAfter } from './loaded.js'

type Call = readonly [string, ...unknown[]]

/** A model of the null engine behind a port that says it takes attributes, and what was called on it. */
async function recorded(parts = 1, answer = 0): Promise<{ model: NativeModel; calls: Call[] }> {
  const tensor = { type: 11, shape: [4], optional: false }
  const handle = succeeded(
    await addon().openModel({
      engine: 'null',
      modelPath: '',
      libraryPath: '',
      parameters: [['parts', String(parts)]],
      inputs: [{ name: 'x', ...tensor }],
      outputs: [{ name: 'y', ...tensor }],
      maxBatchSize: 0,
    }),
  )
  const spec = { datatype: 'FP32', shape: [4] } as const
  const info: ModelInfo = {
    name: 'recorded',
    version: '1',
    engine: 'null',
    maxBatchSize: 0,
    inputs: [{ name: 'x', ...spec }],
    outputs: [{ name: 'y', ...spec }],
    metadata: {},
    labels: {},
    config: {},
    whenFull: 'reject',
    decoupled: parts !== 1,
    attributes: true,
  }
  const options = {
    ...{ maxBatchSize: 0, dynamic: false, preferred: [], maxQueueDelayUs: 0, preserveOrdering: false },
    ...{ defaultLevel: 1, instances: 1, wake: 0, memoryBytes: 2 ** 24, maxQueueSize: 64, debug: false },
    levels: [{ maxQueueSize: 64, timeoutUs: 0, timeoutDelays: false, allowTimeoutOverride: false }],
    ...{ decoupled: parts !== 1, info: '{}', label: 'a test' },
  }
  const calls: Call[] = []
  const model = new NativeModel(info, (onWake) => {
    const port = succeeded(addon().createPort(handle.handle, options, onWake)) as NativePort
    return {
      ...port,
      attributes: (_slot, _generation, ...rest) => {
        calls.push(['attributes', ...rest])
        return answer
      },
      pause: (_slot, _generation, on) => calls.push(['pause', on]),
    }
  })
  closedAfter(model)
  return { model, calls }
}

const x = new Float32Array(4)

it('id, sequence and parameters go down before the request, of infer, stream and claimed slots', async () => {
  const { model, calls } = await recorded()
  await model.infer({ x })
  await model.infer({ x }, { deadlineMs: 1000 })
  expect(calls).toEqual([])
  await model.infer({ x }, { id: 'a' })
  await model.infer({ x }, { sequence: { id: 7, start: true } })
  await model.infer(
    { x },
    { sequence: { id: 2n ** 63n, end: true }, parameters: { text: 'b', n: 1.5, big: 9n, yes: true } },
  )
  for await (const _ of model.stream({ x }, { sequence: { id: 'name', start: true, end: true } }));
  using slot = await model.claim()
  await slot.submit({ id: 'claimed' })
  expect(calls).toEqual([
    ['attributes', 'a', '', 0, []],
    ['attributes', '', 7n, 1, []],
    // biome-ignore format: one call a line
    ['attributes', '', 2n ** 63n, 2, [['text', 'b'], ['n', 1.5], ['big', 9n], ['yes', true]]],
    ['attributes', '', 'name', 3, []],
    ['attributes', 'claimed', '', 0, []],
  ])
})

it('a request that native code refuses leaves no attributes in its slot', async () => {
  const { model, calls } = await recorded(1, -1)
  expect(await rejection(model.infer({ x }, { id: 'a' }))).toMatchObject({ code: 'INVALID_INPUT' })
  expect(calls).toEqual([
    ['attributes', 'a', '', 0, []],
    ['attributes', '', '', 0, []],
  ])
})

it.each<[unknown, RegExp]>([
  [{ id: 5 }, /^id must be a string, not 5/],
  [{ sequence: 5 }, /^sequence must be an object/],
  [{ sequence: null }, /^sequence must be an object/],
  [{ sequence: {} }, /^sequence\.id must be/],
  [{ sequence: { id: 0 } }, /^sequence\.id must be .*, not 0/],
  [{ sequence: { id: -1 } }, /^sequence\.id/],
  [{ sequence: { id: 1.5 } }, /^sequence\.id/],
  [{ sequence: { id: 0n } }, /^sequence\.id/],
  [{ sequence: { id: 2n ** 64n } }, /^sequence\.id/],
  [{ sequence: { id: '' } }, /^sequence\.id/],
  [{ sequence: { id: 'é'.repeat(65) } }, /^sequence\.id .*130 bytes/],
  [{ sequence: { id: 1, start: 1 } }, /^sequence\.start must be true or false/],
  [{ sequence: { id: 1, end: 'yes' } }, /^sequence\.end/],
  [{ parameters: [] }, /^parameters must be an object/],
  [{ parameters: { a: null } }, /^parameters\.a must be/],
  [{ parameters: { a: Number.NaN } }, /^parameters\.a must be/],
  [{ parameters: { a: 2n ** 63n } }, /^parameters\.a must be/],
  [{ parameters: { '': 1 } }, /without a name/],
  [{ parameters: Object.fromEntries(Array.from({ length: 1025 }, (_, i) => [i, 1])) }, /1025 entries/],
])('options that are wrong (%#) are INVALID_INPUT, naming the option', async (options, message) => {
  const { model, calls } = await recorded()
  const error = await rejection(model.infer({ x }, options as InferOptions))
  expect(error.code).toBe('INVALID_INPUT')
  expect(error.message).toMatch(message)
  expect(calls).toEqual([])
})

it('a stream that nobody reads pauses at 16 parts, and goes on at 4', async () => {
  const { model, calls } = await recorded(40)
  const stream = model.stream({ x })
  await new Promise((resolve) => setTimeout(resolve, 50))
  expect(calls).toEqual([['pause', true]])
  // This engine goes on all the same: all 40 are here.
  for (let read = 0; read < 35; read++) await stream.next()
  expect(calls).toEqual([['pause', true]])
  for (let read = 35; read < 40; read++) expect((await stream.next()).done).toBe(false)
  expect((await stream.next()).done).toBe(true)
})

it('a stream that is read slower than it comes is paused and goes on, again and again', async () => {
  const { model, calls } = await recorded(1e6)
  const stream = model.stream({ x })
  for (let read = 0; read < 3; read++) await stream.next()
  await new Promise((resolve) => setTimeout(resolve, 5))
  expect(calls[0]).toEqual(['pause', true])
  await stream.return()
  expect(model.stats().requests).toMatchObject({ cancelled: 1, inFlight: 0 })
})
