import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import sharp from 'sharp'
import { describe, expect, it } from 'vitest'
import { attach } from '../../../src/runtime/attach.js'
import { withDeadline } from '../../../src/runtime/deadline.js'
import type { Classification, LoadOptions, Model, Slot } from '../../../src/runtime/types.js'
import { fakeModel } from '../../../src/testing.js'
import { photo, png } from '../image/pictures.js'
import { rejection } from '../repository/thrown.js'
import { fakedScheduling } from './faked-scheduling.js'
import { closedAfter, loaded, nullModel } from './loaded.js'

const seven = readFileSync('test/data/seven.png')
const SIDE = 8

/** The null engine gives the tensor back as its scores: the result shows what the model was given. */
function echoOfPictures(options?: LoadOptions, settings = ''): Promise<Model> {
  const block = JSON.stringify(JSON.stringify({ scale: 1, resize: 10 }))
  const tensor = `data_type: TYPE_FP32 dims: [ 3, ${SIDE}, ${SIDE} ]`
  return nullModel(
    `max_batch_size: 8 input { name: "image" ${tensor} } output { name: "scores" ${tensor} }
     parameters { key: "subten.preprocess" value { string_value: ${block} } } ${settings}`,
    options,
  )
}

const whole = { topK: 3 * SIDE * SIDE }
const values = (result: Classification): number[] => {
  const found = new Array<number>(result.top.length)
  for (const { index, score } of result.top) found[index] = score
  return found
}

/** Everything that a model lends is back: what can be claimed, and the bytes that requests hold. */
function lent(model: Model): { slots: number; used: number } {
  const slots = Array.from({ length: 64 }, () => model.tryClaim()).filter((slot): slot is Slot => slot !== null)
  for (const slot of slots) slot.release()
  return { slots: slots.length, used: model.stats().memory.used }
}

/** The same once nothing runs any more: engines let go of memory a little after the results are there. */
async function atRest(model: Model): Promise<ReturnType<typeof lent>> {
  let before = lent(model)
  for (;;) {
    await sleep(10)
    const now = lent(model)
    const { requests, running } = model.stats()
    if (requests.inFlight === 0 && running.batches === 0 && now.used === before.used) return now
    before = now
  }
}

/** What a promise rejects with; undefined: it did not. */
const ended = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (reason: unknown) => reason,
  )

const small = () =>
  png(
    10,
    10,
    Array.from({ length: 300 }, (_, i) => (i * 7) % 256),
  )
/** Takes tens of milliseconds to decode. */
const large = async () => (await photo(3000, 2000)).png({ compressionLevel: 1 }).toBuffer()

describe('model.classify', () => {
  it('gives labels, indices and scores, the likeliest first, of bytes in any form', async () => {
    const model = await loaded('models/digits')
    const result = await model.classify(seven, { topK: 3 })
    expect(result).toMatchObject({ model: 'digits', version: '1', top: [{ label: '7', index: 7 }, {}, {}] })
    expect(Object.keys(result)).toEqual(['model', 'version', 'top'])
    const copy = new ArrayBuffer(seven.length + 8)
    new Uint8Array(copy, 8).set(seven)
    const shared = new Uint8Array(new SharedArrayBuffer(seven.length))
    shared.set(seven)
    for (const bytes of [new Uint8Array(copy, 8), copy.slice(8), new DataView(copy, 8), shared]) {
      expect(await model.classify(bytes as Uint8Array, { topK: 3 })).toEqual(result)
    }
    expect((await model.classify(seven)).top).toHaveLength(5)
    expect((await model.classify(seven, { topK: 1000 })).top).toHaveLength(10)
  })

  it('writes the pixels where the model reads them, many pictures at a time, none into another', async () => {
    const model = await echoOfPictures()
    const pictures = await Promise.all(
      Array.from({ length: 40 }, (_, n) =>
        png(
          10,
          10,
          Array.from({ length: 300 }, (_, i) => (i * 7 + n) % 256),
        ),
      ),
    )
    const results = await Promise.all(pictures.map((bytes) => model.classify(bytes, whole)))
    for (const [n, result] of results.entries()) {
      const pixel = (c: number, y: number, x: number) => (((y + 1) * 10 + x + 1) * 21 + 7 * c + n) % 256
      const expected = [0, 1, 2].flatMap((c) =>
        Array.from({ length: SIDE * SIDE }, (_, i) => pixel(c, Math.floor(i / SIDE), i % SIDE)),
      )
      expect(values(result)).toEqual(expected)
    }
  })

  it('says what decoding and writing took, beside the stages of the model', async () => {
    const model = await echoOfPictures()
    const { timing, ...rest } = await model.classify(await small(), { trace: true, id: 'mine', priority: 0 })
    expect(Object.keys(rest)).toEqual(['model', 'version', 'top'])
    expect(timing).toMatchObject({ batchSize: 1, compute: expect.any(Number) })
    expect(timing?.decode).toBeGreaterThan(0)
    expect(timing?.preprocess).toBeGreaterThan(0)
    expect(timing?.toServerTiming()).toMatch(/^decode;dur=[\d.]+, preprocess;dur=[\d.]+, .*compute;dur=/)
    expect(await model.classify(await small())).not.toHaveProperty('timing')
  })

  it('refuses options and bytes that are wrong', async () => {
    const model = await loaded('models/digits')
    for (const options of [
      { topK: 0 },
      { topK: 1.5 },
      { topK: '5' },
      { maxPixels: 0 },
      { priority: -1 },
      { deadlineMs: Number.NaN },
    ]) {
      expect(await rejection(model.classify(seven, options as object))).toMatchObject({ code: 'INVALID_INPUT' })
    }
    for (const bytes of [undefined, null, 'picture.png', {}, new Uint8Array(0), [1, 2]]) {
      expect(await rejection(model.classify(bytes as never))).toMatchObject({ code: 'INVALID_INPUT' })
    }
    expect(await rejection(model.classify(seven, { maxPixels: 10 }))).toMatchObject({ details: { http: 413 } })
    const tensors = await loaded('models/echo')
    expect(await rejection(tensors.classify(seven))).toMatchObject({ code: 'CONFIG_INVALID' })
  })

  it('works on a handle in another environment, and on a fake model', async () => {
    const model = await loaded('models/digits')
    const same = closedAfter(attach(model.share()))
    expect(await same.classify(seven)).toEqual(await model.classify(seven))
    const fake = fakeModel(
      {
        inputs: [{ name: 'image', datatype: 'FP32', shape: [1, 2, 2] }],
        outputs: [{ name: 's', datatype: 'FP32', shape: [4] }],
      },
      { outputs: ({ image }) => ({ s: image?.data as Float32Array }) },
    )
    const { top } = await fake.classify(await png(2, 2, [0, 51, 255, 102]))
    expect(top.map(({ label, score }) => [label, score])).toEqual([
      ['2', 1],
      ['3', Math.fround(0.4)],
      ['1', Math.fround(0.2)],
      ['0', 0],
    ])
  })

  it('goes to the cheaper variant where the model cannot be in time', async () => {
    const faked = fakedScheduling()
    const model = await loaded('models/digits', {
      slo: { p99Ms: 20 },
      latencyCache: false,
      parameters: { 'subten.cheaper_variant': '"digits_int8"' },
    })
    let asked = 0
    faked.refuse = () => (asked++ === 0 ? 'unreachable' : undefined)
    const result = await model.classify(seven, { trace: true })
    expect(result).toMatchObject({ model: 'digits', servedBy: 'digits_int8', top: [{ label: '7' }, {}, {}, {}, {}] })
  })
})

describe('a picture that does not become a result', () => {
  it('takes no slot while it is decoded, whatever becomes of it', async () => {
    const model = await echoOfPictures({ maxQueueSize: 4 })
    const bytes = await large()
    await model.classify(await small())
    const before = await atRest(model)
    const controller = new AbortController()
    const aborted = ended(model.classify(bytes, { signal: controller.signal }))
    const late = ended(model.classify(bytes, { deadlineMs: 5 }))
    const damaged = ended(model.classify(bytes.subarray(0, bytes.length / 2)))
    const waiting = Array.from({ length: 6 }, () => ended(model.classify(bytes, { signal: controller.signal })))
    const ambient = ended(withDeadline(5, () => model.classify(bytes)))
    await sleep(2)
    expect(lent(model)).toEqual(before)
    controller.abort(new Error('enough'))
    for (const each of [aborted, ...waiting]) expect(await each).toMatchObject({ message: 'enough' })
    for (const each of [late, ambient]) expect(await each).toMatchObject({ code: 'DEADLINE_EXCEEDED' })
    expect(await damaged).toMatchObject({ code: 'INVALID_INPUT' })
    expect(await atRest(model)).toEqual(before)
    expect(model.stats().requests).toMatchObject({ submitted: 3, succeeded: 1, expired: 2, inFlight: 0 })
  })

  it('is not begun where its signal was aborted or its time was up before', async () => {
    const model = await echoOfPictures()
    await expect(model.classify(await small(), { signal: AbortSignal.abort(new Error('before')) })).rejects.toThrow(
      'before',
    )
    await expect(model.classify(await small(), { deadlineMs: 0 })).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' })
    expect(model.stats().requests).toMatchObject({ submitted: 1, succeeded: 0, expired: 1 })
  })

  it('is aborted while the model runs, or while it is queued', async () => {
    const model = await echoOfPictures({ parameters: { busy_us: 200_000 } })
    const before = await atRest(model)
    const bytes = await small()
    const controller = new AbortController()
    const all = Promise.allSettled(
      Array.from({ length: 20 }, () => model.classify(bytes, { signal: controller.signal })),
    )
    while (model.stats().requests.submitted < 20) await sleep(1)
    controller.abort(new Error('enough'))
    const aborted = (await all).filter((end) => end.status === 'rejected')
    // The first may have been done by then; a batch is at most 8.
    expect(aborted.length).toBeGreaterThan(0)
    for (const { reason } of aborted) expect(reason).toMatchObject({ message: 'enough' })
    await model.classify(bytes)
    expect(await atRest(model)).toEqual(before)
  })

  it('is refused where the queue is full, or waits where the model says so', async () => {
    const bytes = await small()
    const one = 'instance_group { count: 1 }'
    const model = await echoOfPictures({ maxQueueSize: 2, parameters: { busy_us: 300_000 } }, one)
    const ends = await Promise.allSettled(Array.from({ length: 40 }, () => model.classify(bytes)))
    const refused = ends.filter((end) => end.status === 'rejected')
    expect(refused.length).toBeGreaterThan(0)
    for (const { reason } of refused) expect(reason).toMatchObject({ code: 'QUEUE_FULL' })
    const { requests } = model.stats()
    expect(requests).toMatchObject({ refused: refused.length, succeeded: 40 - refused.length, inFlight: 0 })
    const patient = await echoOfPictures({ maxQueueSize: 2, whenFull: 'wait', parameters: { busy_us: 5000 } }, one)
    const answers = await Promise.all(Array.from({ length: 40 }, () => patient.classify(bytes, whole)))
    for (const answer of answers) expect(answer.top).toEqual(answers[0]?.top)
  })

  it('ends with MODEL_CLOSED where the model was closed while it was decoded', async () => {
    const model = await echoOfPictures()
    const end = rejection(model.classify(await large()))
    await sleep(2)
    await model.close()
    expect(await end).toMatchObject({ code: 'MODEL_CLOSED' })
    expect(await rejection(model.classify(seven))).toMatchObject({ code: 'MODEL_CLOSED' })
  })

  it('leaves nothing behind, whatever its bytes are', async () => {
    const model = await echoOfPictures()
    await model.classify(await small())
    const before = await atRest(model)
    const sound = [
      await small(),
      await sharp(await small())
        .jpeg()
        .toBuffer(),
      await sharp(await small())
        .webp()
        .toBuffer(),
    ]
    const change = fc.record({
      which: fc.nat(2),
      edits: fc.array(fc.tuple(fc.double({ min: 0, max: 0.999, noNaN: true }), fc.nat(255)), { maxLength: 6 }),
      deadlineMs: fc.option(fc.constantFrom(0, 0.1, 1000), { nil: undefined }),
      abort: fc.boolean(),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(change, { maxLength: 12 }), async (changes) => {
        const controller = new AbortController()
        const ends = changes.map(({ which, edits, deadlineMs, abort }) => {
          const bytes = Buffer.from(sound[which] as Buffer)
          for (const [where, value] of edits) bytes[Math.floor(where * bytes.length)] = value
          const signal = abort ? controller.signal : undefined
          return model.classify(bytes, {
            ...(signal ? { signal } : {}),
            ...(deadlineMs === undefined ? {} : { deadlineMs }),
          })
        })
        const settled = Promise.allSettled(ends)
        await new Promise(setImmediate)
        controller.abort(new Error('enough'))
        for (const end of await settled) {
          if (end.status === 'fulfilled') expect(end.value.top).toHaveLength(5)
          else expect(end.reason.code ?? end.reason.message).toMatch(/^(?:INVALID_INPUT|DEADLINE_EXCEEDED|enough)$/)
        }
      }),
      { numRuns: 60 },
    )
    expect(await atRest(model)).toEqual(before)
  })
})
