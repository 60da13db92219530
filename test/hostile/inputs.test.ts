import { expect, test } from 'vitest'
import { publicChild } from './native-child.js'

test('arrays that lie about their length do not reach the rows of other requests', async () => {
  expect(
    await publicChild(`
    const model = await slowEcho(2)
    class Liar extends Float32Array { get length() { return 64 } }
    const own = new Float32Array(6400).fill(-1)
    Object.defineProperty(own, 'length', { value: 64 })
    const view = Object.setPrototypeOf(new DataView(new ArrayBuffer(256)), Float32Array.prototype)
    let turns = 0
    Object.defineProperty(view, 'length', { get: () => (turns++ === 0 ? 64 : 6400) })
    const outcomes = []
    for (let round = 0; round < 10; round++) {
      const good = Array.from({ length: 16 }, (_, i) => model.infer(row(i)))
      const liars = [new Liar(6400).fill(-1), own, view, new Liar(3)].map((input) => outcome(model.infer({ input })))
      const more = Array.from({ length: 16 }, (_, i) => model.infer(row(i)))
      for (const [i, { output }] of (await Promise.all([...good, ...more])).entries())
        if (!output.data.every((value) => value === i % 16)) outcomes.push('corrupted')
      for (const each of await Promise.all(liars)) outcomes.push(Array.isArray(each) ? 'a result' : each)
    }
    tell([...new Set(outcomes)].filter((each) => !['INVALID_INPUT', 'TypeError', 'RangeError'].includes(each)))
  `),
  ).toEqual([])
})

test('buffers that are detached, shrunk, shared or out of place are typed errors or plain values', async () => {
  expect(
    await publicChild(`
    const model = await load('models/echo')
    const gone = new Float32Array(64)
    structuredClone(gone.buffer, { transfer: [gone.buffer] })
    const resizable = new ArrayBuffer(256, { maxByteLength: 512 })
    const tracking = new Float32Array(resizable)
    const fixed = new Float32Array(resizable, 0, 64)
    const before = await outcome(model.infer({ input: tracking }))
    const shrunkLater = outcome(model.infer({ input: tracking.fill(7) }))
    resizable.resize(8)
    const shared = new Float32Array(new SharedArrayBuffer(512), 128, 64).fill(5)
    tell({
      gone: await outcome(model.infer({ input: gone })),
      before,
      shrunkLater: await shrunkLater,
      tracking: await outcome(model.infer({ input: tracking })),
      outOfBounds: await outcome(model.infer({ input: fixed })),
      shared: await outcome(model.infer({ input: shared })),
      offset: await outcome(model.infer({ input: new Float32Array(new ArrayBuffer(1024), 512, 64).fill(3) })),
      works: await works(model),
    })
  `),
  ).toEqual({
    gone: 'INVALID_INPUT',
    before: [0, 0],
    shrunkLater: [7, 7],
    tracking: 'INVALID_INPUT',
    outOfBounds: 'INVALID_INPUT',
    shared: [5, 5],
    offset: [3, 3],
    works: true,
  })
})

test('accessors and proxies that throw, infer, detach or close in the middle of reading', async () => {
  expect(
    await publicChild(`
    const model = await load('models/echo')
    const throws = { get input() { throw new RangeError('mine') } }
    const proxy = new Proxy(row(4), { ownKeys() { throw new EvalError('mine') } })
    const nested = { get input() { void model.infer(row(9)).catch(() => {}); return row(6).input } }
    const other = row(8)
    const detaching = { input: { get data() { return other.input }, get shape() { structuredClone(other.input.buffer, { transfer: [other.input.buffer] }); return [1, 64] } } }
    const signal = Object.defineProperty(new AbortController().signal, 'aborted', { get() { throw new URIError('mine') } })
    const first = [await outcome(model.infer(throws)), await outcome(model.infer(proxy)), await outcome(model.infer(nested)),
      await outcome(model.infer(detaching)), await outcome(model.infer(row(1), { signal }))]
    const serves = await works(model)
    // Closing starts inside the reading of the inputs: the request ends, one way or the other, and so does close().
    const closing = { get input() { void model.close(); return row(2).input } }
    const last = await outcome(model.infer(closing))
    await model.close()
    tell({ first, serves, last: Array.isArray(last) ? 'MODEL_CLOSED' : last, after: await outcome(model.infer(row(1))) })
  `),
  ).toEqual({
    first: ['RangeError', 'EvalError', [6, 6], 'INVALID_INPUT', 'URIError'],
    serves: true,
    last: 'MODEL_CLOSED',
    after: 'MODEL_CLOSED',
  })
})

test('inputs that change while their request runs do not change it', async () => {
  expect(
    await publicChild(`
    const model = await slowEcho(5)
    const input = new Float32Array(64).fill(1)
    const running = [model.infer({ input })]
    for (let i = 2; i <= 20; i++) { input.fill(i); running.push(model.infer({ input })) }
    input.fill(-1)
    tell((await Promise.all(running)).map(({ output }) => output.data[0]))
  `),
  ).toEqual(Array.from({ length: 20 }, (_, i) => i + 1))
})

test('claimed slots after release, dispose and close: typed errors, and no view of the memory is left', async () => {
  expect(
    await publicChild(`
    const model = await slowEcho(5)
    const slot = await model.claim()
    const view = slot.inputs.input.data
    view.fill(3)
    const running = outcome(slot.submit())
    const twice = await outcome(slot.submit())
    slot.release(); slot.release()
    const ended = await running
    const held = await model.claim()
    const heldView = held.inputs.input.data.fill(1)
    const out = await held.submit()
    const outView = out.output.data
    held[Symbol.dispose](); held.release()
    const stale = await outcome(Promise.resolve().then(() => ({ output: { data: out.output.data } })))
    const lengths = [view.length, heldView.length, outView.length]
    const controller = new AbortController()
    const aborted = outcome(model.infer(row(1), { signal: controller.signal }))
    controller.abort(new SyntaxError('mine'))
    const reason = await aborted
    controller.abort(); controller.abort()
    const serves = await works(model)
    await model.close(); await model.close()
    const forged = []
    for (const token of [undefined, null, {}, { subten: 1, id: '../x' }, { subten: 1, id: 5 }, { subten: 2, id: '1-1' }, 'x'])
      forged.push(await outcome(Promise.resolve().then(() => attach(token))))
    tell({ twice, ended, stale, lengths, reason, serves, claim: await outcome(model.claim()), submit: await outcome(slot.submit()),
      stats: await outcome(Promise.resolve().then(() => model.stats())), share: await outcome(Promise.resolve().then(() => model.share())), forged: [...new Set(forged)].sort() })
  `),
  ).toEqual({
    twice: 'INVALID_INPUT',
    ended: 'SLOT_RELEASED',
    stale: 'SLOT_RELEASED',
    lengths: [0, 0, 0],
    reason: 'SyntaxError',
    serves: true,
    claim: 'MODEL_CLOSED',
    submit: 'SLOT_RELEASED',
    stats: 'MODEL_CLOSED',
    share: 'MODEL_CLOSED',
    forged: ['INVALID_INPUT', 'MODEL_CLOSED'],
  })
})

test('a memory too small for the load refuses with its code, and serves again afterwards', async () => {
  expect(
    await publicChild(`
    const model = await slowEcho(1, { memoryMb: 0.05 })
    const waiting = await slowEcho(0, { memoryMb: 0.05, whenFull: 'wait' })
    const rows = (n) => ({ input: { data: new Float32Array(64 * n).fill(n), shape: [n, 64] } })
    const all = await Promise.all(Array.from({ length: 60 }, (_, i) => outcome(model.infer(rows(1 + (i % 20))))))
    const codes = all.filter((each) => !Array.isArray(each))
    const never = await outcome(waiting.infer(rows(64)).then(() => waiting.infer(rows(64))).then(() => load('models/echo', { memoryMb: 0.01, whenFull: 'wait' })).then((tiny) => tiny.infer(rows(64))))
    const tiny = await load('models/echo', { memoryMb: 0.01, whenFull: 'wait' })
    const message = await tiny.infer(rows(64)).catch((error) => error.code + ' ' + /memoryMb: \\d+ or more/.test(error.message))
    const many = await tiny.inferMany([rows(64), rows(1)], { onError: 'settle' })
    tell({ codes: [...new Set(codes)].filter((code) => code !== 'QUEUE_FULL' && code !== 'OUT_OF_MEMORY'), some: codes.length < 60,
      never, message, many: many.map((each) => each.ok || each.error.code), claim: await outcome(tiny.claim({ rows: 64 })), works: await works(model) })
  `),
  ).toEqual({
    codes: [],
    some: true,
    never: 'OUT_OF_MEMORY',
    message: 'OUT_OF_MEMORY true',
    many: ['OUT_OF_MEMORY', true],
    claim: 'OUT_OF_MEMORY',
    works: true,
  })
})
