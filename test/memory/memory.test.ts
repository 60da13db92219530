import { expect, it } from 'vitest'
import { runChild } from '../exit/child.js'

/** In a process of its own: RSS in MiB, and the threads of the process, after a collection. */
const measures = `
  import { readdirSync } from 'node:fs'
  const settle = async () => { for (let i = 0; i < 5; i++) { globalThis.gc(); await sleep(10) } }
  const rss = async () => { await settle(); return process.memoryUsage().rss / 2 ** 20 }
  const threads = () => readdirSync('/proc/self/task').length
`

async function measured(code: string): Promise<Record<string, number>> {
  const end = await runChild(measures + code, { args: ['--expose-gc'], timeoutMs: 110_000 })
  expect(end).toMatchObject({ code: 0, signal: null, stderr: '' })
  return JSON.parse(end.stdout) as Record<string, number>
}

it('fifty rounds of load, infer and close give memory and threads back', async () => {
  const { grown, extra } = await measured(`
    const round = async () => {
      const model = await load('models/digits')
      await model.infer({ image: new Float32Array(64) })
      model.inferSync({ image: new Float32Array(64) })
      await model.close()
    }
    for (let i = 0; i < 10; i++) await round()
    const [before, started] = [await rss(), threads()]
    for (let i = 0; i < 50; i++) await round()
    console.log(JSON.stringify({ grown: (await rss()) - before, extra: threads() - started }))`)
  expect(grown).toBeLessThan(40)
  expect(extra).toBe(0)
}, 120_000)

it('models that are dropped without close() give their memory back too', async () => {
  const { grown, extra } = await measured(`
    const round = async () => {
      for (let i = 0; i < 4; i++) await (await load('models/echo')).infer(row(i))
      await settle()
    }
    for (let i = 0; i < 3; i++) await round()
    const [before, started] = [await rss(), threads()]
    for (let i = 0; i < 15; i++) await round()
    console.log(JSON.stringify({ grown: (await rss()) - before, extra: threads() - started }))`)
  expect(grown).toBeLessThan(40)
  expect(extra).toBeLessThanOrEqual(4)
}, 120_000)

it('a hundred thousand requests of every kind leave nothing behind', async () => {
  const { grown, used, heap } = await measured(`
    const model = await load('models/echo')
    const { signal } = new AbortController()
    const many = async (count) => {
      for (let i = 0; i < count; i += 100) {
        await Promise.all(Array.from({ length: 96 }, (_, k) => model.infer(row(k), k % 3 ? undefined : { signal, trace: true })))
        await model.infer({ input: { data: new Float32Array(640), shape: [10, 64] } })
        const aborting = new AbortController()
        const aborted = model.infer(row(1), { signal: aborting.signal }).catch(() => {})
        aborting.abort()
        await aborted
        const slot = await model.claim()
        await slot.submit()
        slot.release()
        model.inferSync(row(1))
      }
    }
    await many(20_000)
    const [before, heapBefore, usedBefore] = [await rss(), process.memoryUsage().heapUsed, model.stats().memory.used]
    await many(100_000)
    const grown = (await rss()) - before
    const heap = (process.memoryUsage().heapUsed - heapBefore) / 2 ** 20
    console.log(JSON.stringify({ grown, heap, used: model.stats().memory.used - usedBefore }))`)
  expect(grown).toBeLessThan(40)
  expect(heap).toBeLessThan(5)
  expect(used).toBeLessThanOrEqual(0)
}, 120_000)

it('ports of attach() that are dropped without close() are collected', async () => {
  const { left } = await measured(`
    const model = await load('models/echo')
    const token = model.share()
    // Each port has a view of the whole slab, 64 MiB, which V8 counts as external memory.
    const ports = () => Math.round(process.memoryUsage().external / 2 ** 26)
    const before = ports()
    const round = async (i) => { await attach(token).infer(row(i)) }
    for (let i = 0; i < 10; i++) await round(i)
    for (let i = 0; i < 50 && ports() > before + 1; i++) await settle()
    console.log(JSON.stringify({ left: ports() - before }))`)
  // The last one may still lie in a register or on the stack.
  expect(left).toBeLessThanOrEqual(1)
}, 120_000)
