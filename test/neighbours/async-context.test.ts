// AsyncLocalStorage and diagnostics channels of a program around subten: whose context code runs in, and who keeps it.
import { expect, it, vi } from 'vitest'
import { runChild } from '../exit/child.js'

vi.setConfig({ testTimeout: 120_000 })

const clean = { code: 0, signal: null, stderr: '' }
const prelude = `
  import { AsyncLocalStorage } from 'node:async_hooks'
  import { channel, tracingChannel } from 'node:diagnostics_channel'
  const als = new AsyncLocalStorage()
  const out = (value) => console.log(JSON.stringify(value))
`

async function child(body: string, args: string[] = []): Promise<unknown> {
  const ended = await runChild(prelude + body, { args, timeoutMs: 100_000 })
  expect(ended).toMatchObject(clean)
  return JSON.parse(ended.stdout)
}

it.each(['auto', 'latency', 'powersave'])(
  'each caller finds its own context after infer, and in what follows (wake %s)',
  async (wake) => {
    const wrong = await child(`
      const model = await load('models/echo', { wake: '${wake}', whenFull: 'wait', maxQueueSize: 8 })
      const wrong = []
      const check = (me, where) => { if (als.getStore() !== me) wrong.push([where, me, als.getStore()]) }
      const caller = (me) => als.run(me, async () => {
        for (let i = 0; i < 10; i++) {
          await model.infer({ get input() { check(me, 'accessor'); return row(me).input } })
          check(me, 'infer')
          await model.infer({ input: new Float32Array(5) }).catch(() => {})
          check(me, 'refused')
          const slot = await model.claim()
          await slot.submit().catch(() => {}) // QUEUE_FULL: a claimed slot does not wait for room
          check(me, 'slot')
          slot.release()
          await model.inferMany([row(1), row(2)]).then(() => check(me, 'then of inferMany'))
          await new Promise(setImmediate)
          check(me, 'immediate')
        }
      })
      await Promise.all(Array.from({ length: 16 }, (_, i) => caller(i + 1)))
      // One caller after the other as well: the case in which the event loop polls.
      for (let i = 100; i < 200; i++) await als.run(i, async () => { await model.infer(row(1)); check(i, 'alone') })
      await model.close()
      out(wrong)`)
    expect(wrong).toEqual([])
  },
)

it('an aborted infer goes on in the context of its caller, whoever aborts it', async () => {
  const seen = await child(`
    const model = await slowEcho(30)
    const controller = new AbortController()
    const seen = []
    const callers = ['a', 'b'].map((me) => als.run(me, async () => {
      controller.signal.addEventListener('abort', als.constructor.bind(() => seen.push(['listener', als.getStore()])))
      await model.infer(row(1), { signal: controller.signal }).catch((error) => seen.push([error.name, als.getStore()]))
      seen.push(['after', als.getStore()])
    }))
    als.run('aborter', () => controller.abort())
    await Promise.all(callers)
    await model.close()
    out(seen.sort())`)
  expect(seen).toEqual([
    ['AbortError', 'a'],
    ['AbortError', 'b'],
    ['after', 'a'],
    ['after', 'b'],
    ['listener', 'a'],
    ['listener', 'b'],
  ])
})

it('subscribers of the tracing channel run in the context of the infer they hear of', async () => {
  const seen = await child(`
    const model = await load('models/echo')
    const seen = []
    const note = (name) => ({ id }) => { if (als.getStore() !== id) seen.push([name, id, als.getStore()]) }
    let ends = 0
    tracingChannel('subten:infer').subscribe({
      start: note('start'), end: note('end'), asyncStart: note('asyncStart'), error: note('error'),
      asyncEnd: (event) => { note('asyncEnd')(event); ends++ },
    })
    await Promise.all(Array.from({ length: 50 }, (_, i) => als.run('c' + i, () => model.infer(i % 5 ? row(i) : {}, { id: 'c' + i }).catch(() => {}))))
    await model.close()
    out({ seen, ends })`)
  expect(seen).toEqual({ seen: [], ends: 50 })
})

it('a store bound to the tracing channel is there inside, and not with the caller', async () => {
  const seen = await child(`
    const model = await load('models/echo')
    tracingChannel('subten:infer').start.bindStore(als, ({ id }) => 'span of ' + id)
    const seen = []
    await als.run('caller', async () => {
      await model.infer({ get input() { seen.push(als.getStore()); return row(1).input } }, { id: 'x' })
      seen.push(als.getStore())
    })
    await model.close()
    out(seen)`)
  expect(seen).toEqual(['span of x', 'caller'])
})

it('subscribers that throw cost no request: their errors surface as uncaught exceptions, as Node promises', async () => {
  const seen = await child(`
    const model = await load('models/echo')
    const uncaught = {}
    process.on('uncaughtException', ({ message }) => { uncaught[message] = (uncaught[message] ?? 0) + 1 })
    const fail = (name) => () => { throw new Error(name) }
    const names = ['start', 'end', 'asyncStart', 'asyncEnd', 'error']
    tracingChannel('subten:infer').subscribe(Object.fromEntries(names.map((name) => [name, fail(name)])))
    tracingChannel('subten:infer').start.bindStore(als, fail('bindStore'))
    const all = await Promise.allSettled(Array.from({ length: 40 }, (_, i) => model.infer(i < 30 ? row(i) : {})))
    const right = all.filter((each, i) => i < 30 ? each.value?.output.data[3] === i : each.reason?.code === 'INVALID_INPUT')
    await new Promise(setImmediate)
    const { succeeded, inFlight } = model.stats().requests
    await model.close()
    out({ right: right.length, uncaught, succeeded, inFlight })`)
  expect(seen).toEqual({
    right: 40,
    uncaught: { start: 40, end: 40, asyncStart: 40, asyncEnd: 40, error: 10, bindStore: 40 },
    succeeded: 30,
    inFlight: 0,
  })
})

it('no model keeps the context it was loaded, attached or used in', async () => {
  const kept = await child(
    `
    import { setTimeout as later } from 'node:timers/promises'
    const kept = []
    // A function of its own: the frame of an async one would keep the last store itself.
    const inStore = (refs, run) => { const store = {}; refs.push(new WeakRef(store)); return als.run(store, run) }
    const step = async (name, run) => {
      const refs = []
      for (let i = 0; i < 3; i++) await inStore(refs, run)
      // Collected when the collector says so: asked again until it has, and long enough to be sure of a failure.
      for (let i = 0; i < 50 && refs.some((ref) => ref.deref()); i++) { await later(10); gc() }
      if (refs.some((ref) => ref.deref())) kept.push(name)
    }
    const models = []
    await step('load', async () => { models.push(await load('models/echo', { memoryMb: 4, whenFull: 'wait', maxQueueSize: 8 })) })
    await step('load an ONNX file', async () => { models.push(await load('models/digits', { memoryMb: 4 })) })
    const [model] = models
    await step('attach', async () => { models.push(attach(model.share())) })
    await step('infer', async () => { await model.infer(row(1)) })
    await step('many that wait', async () => { await model.inferMany(Array.from({ length: 100 }, () => row(1))) })
    await step('abort', async () => {
      const controller = new AbortController()
      const request = model.infer(row(1), { signal: controller.signal })
      controller.abort()
      await request.catch(() => {})
    })
    await step('slot', async () => { const slot = await model.claim(); await slot.submit(); slot.release() })
    await step('a load that fails', async () => { await load('models/nothing').catch(() => {}) })
    for (const each of models) await each.close()
    out(kept)`,
    ['--expose-gc'],
  )
  expect(kept).toEqual([])
})
