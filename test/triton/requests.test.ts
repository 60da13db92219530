import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from 'vitest'
import type { Model } from '../../src/runtime/types.js'
import { addSub, firstOf, triton, withTriton } from './triton.js'

const REQUESTS = 10_000

/** Numbers from 0 below 1, the same for a seed. */
function random(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

withTriton('a mixture of requests', ['add_sub_py', 'repeat_py', 'digits_triton'], () => {
  it(`of ${REQUESTS}, many cancelled at random, ends each of them once and holds nothing afterwards`, async () => {
    const seed = Number(process.env.SUBTEN_SEED ?? 1)
    console.log(`SUBTEN_SEED=${seed}`)
    const next = random(seed)
    const [add, repeat, digits] = await Promise.all(
      ['add_sub_py', 'repeat_py', 'digits_triton'].map((name) => triton(name)),
    )
    const models = [add, repeat, digits] as Model[]
    const used = models.map((model) => model.stats().memory.used)
    const image = digits?.inputs[0]?.name ?? ''
    const ended = { ok: 0, cancelled: 0, refused: 0 }
    const one = async (i: number): Promise<void> => {
      const cancel = next() < 0.3
      const controller = new AbortController()
      const options = cancel ? { signal: controller.signal } : {}
      if (cancel) setTimeout(() => controller.abort('cancelled'), next() * 20)
      try {
        const kind = next()
        if (kind < 0.5) {
          const sum = await add?.infer(addSub(i, 1), options)
          expect(firstOf(sum, 'OUTPUT0')).toBe(Math.fround(i + 1))
        } else if (kind < 0.75) {
          await digits?.infer({ [image]: new Float32Array(64).fill(i % 16) }, options)
        } else {
          const count = Math.floor(next() * 20)
          const leaveAt = next() < 0.2 ? 2 : Number.POSITIVE_INFINITY
          let seen = 0
          for await (const _ of (repeat as Model).stream({ IN: Int32Array.of(count) }, options))
            if (++seen === leaveAt) break
          expect(seen).toBe(Math.min(count, leaveAt))
        }
        ended.ok++
      } catch (error) {
        if (error === 'cancelled') ended.cancelled++
        else if ((error as { code?: string }).code === 'QUEUE_FULL') ended.refused++
        else throw error
      }
    }
    for (let i = 0; i < REQUESTS; i += 200) await Promise.all(Array.from({ length: 200 }, (_, k) => one(i + k)))
    expect(ended.ok + ended.cancelled + ended.refused).toBe(REQUESTS)
    expect(ended.cancelled).toBeGreaterThan(0)
    for (const [index, model] of models.entries()) {
      for (let i = 0; i < 1000 && model.stats().memory.used > (used[index] as number); i++) await sleep(5)
      const { requests, memory } = model.stats()
      expect(requests.inFlight).toBe(0)
      expect(requests.submitted).toBe(requests.succeeded + requests.failed + requests.cancelled + requests.expired)
      expect(requests.failed).toBe(0)
      expect(memory.used).toBeLessThanOrEqual(used[index] as number)
    }
  }, 300_000)
})
