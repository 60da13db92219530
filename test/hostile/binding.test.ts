import { expect, test } from 'vitest'
import { nativeChild } from './native-child.js'

test('generations and slots that are wrong in any way are refused, and the port goes on', async () => {
  const result = (await nativeChild(`
    const port = await openPort()
    const [own] = lease(port, 1)
    const strange = [-1, NaN, 2 ** 53, 2 ** 32, 2 ** 32 - 1, Infinity, -Infinity, own.slot + 1, port.slots, 1e308]
    const refused = new Set()
    for (const slot of strange) refused.add(said(submit(port, { ...own, slot })))
    for (const generation of strange.filter((n) => n !== own.generation)) refused.add(said(submit(port, { ...own, generation })))
    for (const junk of [undefined, null, 'x', {}, [], Symbol.iterator, 5n, () => 5]) {
      refused.add(said(port.submit(own.slot, own.generation, junk, 0, -1, 0, 0)))
      port.cancel(junk, junk); port.release(junk, junk); port.abandon(junk, junk); port.message(junk)
      port.takeOutput(junk, junk); port.wrap(junk, junk); port.detach(junk); port.lease(junk); port.keep(junk)
      port.allocate(own.slot + 1, junk, junk, junk)
    }
    for (const n of strange) {
      port.cancel(n, n); port.release(n, n); port.abandon(n, n); port.message(n); port.takeOutput(n, n)
      port.wrap(n, n); port.keep(n); port.take(0, n); port.allocate(n, n, n, n)
    }
    port.keep(0)
    const old = own.generation
    submit(port, own)
    await drain(port, 1)
    refused.add(said(submit(port, { ...own, generation: old })))
    tell({ refused: [...refused], works: await works(port) })
  `)) as { refused: string[]; works: boolean }
  expect(new Set(result.refused)).toEqual(new Set(['SLOT_RELEASED', 'INVALID_INPUT']))
  expect(result.works).toBe(true)
})

test('a slot submitted twice, released twice or released before it was read ends once', async () => {
  expect(
    await nativeChild(`
    const port = await openPort()
    const [own] = lease(port, 1)
    const first = said(submit(port, own))
    const second = said(submit(port, own))
    while (port.release(own.slot, own.generation) === own.generation) await turn()
    const early = said(submit(port, { ...own, generation: own.generation + 1 }))
    const again = port.release(own.slot, own.generation)
    await drain(port, 1)
    const later = said(submit(port, { ...own, generation: own.generation + 1 }))
    await drain(port, 1)
    const abort = port.cancel(own.slot, own.generation + 1)
    tell({ first: first >= 0, second, early, again: again === own.generation, later: later >= 0, abort, inFlight: port.inFlight(), works: await works(port) })
  `),
  ).toEqual({
    first: true,
    second: 'SLOT_RELEASED',
    early: 'SLOT_RELEASED',
    again: true,
    later: true,
    abort: false,
    inFlight: 0,
    works: true,
  })
})

test('garbage in the shared memory harms only the requests whose bytes it is', async () => {
  expect(
    await nativeChild(`
    const port = await openPort({ parameters: [['busy_us', '200']] })
    const views = [port.slab, port.records, port.taken, port.staging].map((buffer) => new Uint8Array(buffer))
    const slots = lease(port)
    let accepted = 0
    for (let round = 0; round < 30; round++) {
      for (const each of slots) if (submit(port, each) >= 0) accepted++
      for (let ended = 0; ended < slots.length; await turn()) {
        for (const view of views) view.fill(round * 37)
        const count = port.take(64, 0)
        for (const view of views) view.fill(255 - round)
        ended += Math.max(count, 0)
      }
      port.take(0, 0)
      for (const each of slots) each.generation++
    }
    tell({ accepted, inFlight: port.inFlight(), works: await works(port) })
  `),
  ).toEqual({ accepted: 240, inFlight: 0, works: true })
})

test('strings whose lengths are changed after they were checked stay inside their request', async () => {
  expect(
    await nativeChild(`
    const strings = { inputs: [tensor('input', 13, [-1, 2])], outputs: [tensor('output', 13, [-1, 2])] }
    const port = await openPort({ ...strings, parameters: [['busy_us', '500']] })
    const staging = new Float64Array(port.staging)
    let lies = 0
    const slots = lease(port)
    const [{ slot, generation }] = lease(port, 1)
    for (let round = 0; round < 40; round++) {
      const places = slots.map(({ slot, generation }) => {
        const offset = port.allocate(slot, generation, 0, 16)
        new Uint32Array(port.slab, offset, 4).set([4, 0x41414141, 4, 0x42424242])
        staging.set([1, 16, 2, 1, 2])
        if (port.submit(slot, generation, 1, 0, -1, 0, 1) < 0) throw new Error(port.message(-1))
        return offset
      })
      for (const offset of places) new Uint32Array(port.slab, offset, 4).fill(0xffffff00 + round)
      await drain(port, slots.length)
      for (const each of slots) each.generation++
      const offset = port.allocate(slot, generation, 0, 16)
      new Uint32Array(port.slab, offset, 4).fill(2 ** 31)
      staging.set([1, 16, 2, 1, 2])
      if (said(port.submit(slot, generation, 1, 0, -1, 0, 1)) === 'INVALID_INPUT') lies++
      port.abandon(slot, generation)
    }
    tell({ lies, inFlight: port.inFlight() })
  `),
  ).toEqual({ lies: 40, inFlight: 0 })
})

test('forged handles and tokens are typed errors', async () => {
  expect(
    await nativeChild(`
    const { handle } = await native.openModel(settings())
    const forged = [undefined, null, {}, 5, 'x', Object.create(Object.getPrototypeOf(handle)), port => port, [handle], new Proxy({}, {})]
    const answers = new Set(forged.map((each) => thrown(() => native.createPort(each, options(), () => {}))))
    // An external value of somebody else: the handle of another kind of object.
    const port = native.createPort(handle, options(), () => {})
    const twice = names[native.createPort(handle, options(), () => {}).status]
    const noWake = thrown(() => native.createPort(handle, options()))
    const tokens = new Set([undefined, null, {}, 7, Symbol.iterator].map((id) => thrown(() => native.attachPort(id, () => {}))))
    const unknown = ['', '0-0', '../..', '\\0', 'x'.repeat(1e6)].map((id) => names[native.attachPort(id, () => {}).status])
    const { submit: loose } = port
    const stranger = said(loose.call({ slot: 1 }, 2 ** 20, 0, 1, 0, -1, 0, 0))
    const calls = new Set([undefined, null, 5].map((given) => thrown(() => native.openModel(given))))
    tell({ answers: [...answers], twice, noWake, tokens: [...tokens], unknown: [...new Set(unknown)], stranger, calls: [...calls], works: await works(port) })
  `),
  ).toEqual({
    answers: ['TypeError'],
    twice: 'MODEL_CLOSED',
    noWake: 'TypeError',
    tokens: ['TypeError'],
    unknown: ['MODEL_CLOSED'],
    stranger: 'SLOT_RELEASED',
    calls: ['TypeError'],
    works: true,
  })
})

test('settings that are no settings are refused or bounded', async () => {
  const result = (await nativeChild(`
    const bad = [NaN, -1, 2 ** 53, Infinity, -Infinity, 1e308, 'x', null, {}, []]
    const keys = ['maxBatchSize', 'instances', 'wake', 'memoryBytes', 'maxQueueSize', 'maxQueueDelayUs', 'defaultLevel',
      'preferred', 'levels', 'debug', 'decoupled', 'info', 'dynamic', 'preserveOrdering']
    const seen = new Set()
    for (const key of keys) for (const value of bad) {
      const made = await openPort({}, { [key]: value })
      seen.add('status' in made ? names[made.status] : 'a port')
      if (!('status' in made)) await made.close()
    }
    for (const value of bad) {
      const made = await openPort({}, { levels: [{ maxQueueSize: value, timeoutUs: value }], preferred: [value, value] })
      if (!('status' in made)) await made.close()
      for (const key of ['inputs', 'outputs', 'parameters', 'maxBatchSize', 'modelPath', 'engine']) {
        const model = await native.openModel(settings({ [key]: value }))
        seen.add('status' in model ? names[model.status] : 'a model')
      }
      await native.openModel(settings({ inputs: [{ name: value, type: value, shape: value }], parameters: [value, [value], [value, value]] }))
    }
    const throwing = new Proxy({}, { get() { throw new RangeError('no') } })
    const { handle } = await native.openModel(settings())
    const threw = [thrown(() => native.openModel(throwing)), thrown(() => native.createPort(handle, throwing, () => {}))]
    const long = new Array(2 ** 32 - 1)
    const huge = await native.openModel(settings({ inputs: [tensor('input', 11, long)], parameters: long }))
    const port = native.createPort(handle, options(), () => {})
    tell({ seen: [...seen], threw, huge: names[huge.status], works: await works(port) })
  `)) as { seen: string[]; threw: string[]; huge: string; works: boolean }
  const known = ['a port', 'a model', 'CONFIG_INVALID', 'OUT_OF_MEMORY', 'ENGINE_NOT_FOUND', 'NOT_SUPPORTED']
  expect(result.seen.filter((answer) => !known.includes(answer))).toEqual([])
  expect(result.threw).toEqual(['RangeError', 'RangeError'])
  expect(result.works).toBe(true)
})

test('a port that was closed answers every call, and views kept from before stay harmless', async () => {
  expect(
    await nativeChild(`
    const port = await openPort()
    const [own, other] = lease(port, 2)
    submit(port, other)
    const views = [port.slab, port.records, port.taken, port.staging].map((buffer) => new Uint8Array(buffer))
    const window = new Uint8Array(port.wrap(0, 4096))
    await port.close()
    for (const view of [...views, window]) view.fill(9)
    const answers = [submit(port, own), port.runSync(0, 0, 1, 0, -1, 0, 0), port.allocate(0, 0, 0, 8)].map(said)
    port.take(8, 1); port.releaseSync(); port.lease(new Uint32Array(8)); port.abandon(0, 0); port.cancel(0, 0)
    port.release(0, 0); port.message(-1); port.message(0); port.takeOutput(0, 0); port.wrap(0, 8); port.detach(port.slab)
    port.share(); port.keep(1); port.inFlight(); port.stats(); port.resetStats()
    await port.close()
    globalThis.gc?.()
    tell({ answers, windows: window.length })
  `),
  ).toEqual({ answers: ['MODEL_CLOSED', 'MODEL_CLOSED', 'MODEL_CLOSED'], windows: 4096 })
})

test('buffers for leases may be detached, resized, shared or of the wrong kind', async () => {
  expect(
    await nativeChild(`
    const port = await openPort()
    const gone = new Uint32Array(16)
    structuredClone(gone.buffer, { transfer: [gone.buffer] })
    const resizable = new ArrayBuffer(64, { maxByteLength: 128 })
    const tracking = new Uint32Array(resizable)
    resizable.resize(8)
    const shared = new Uint32Array(new SharedArrayBuffer(64))
    const got = [gone, new Uint8Array(64), new Float64Array(8), new DataView(new ArrayBuffer(64)), new Uint32Array(0), tracking, shared]
      .map((array) => port.lease(array))
    // Refused, or copied, as the version of Node has it: the memory itself stays.
    thrown(() => structuredClone(port.slab, { transfer: [port.slab] }))
    tell({ got, stays: port.slab.byteLength, works: await works(port) })
  `),
  ).toEqual({ got: [0, 0, 0, 0, 0, 1, 8], stays: 2 ** 20, works: true })
})
