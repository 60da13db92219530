import { expect, it } from 'vitest'
import { BATCH_NUMBERS, decodeSlow, MATES, PREVIOUS, SLOW_NUMBERS, SLOW_STRIDE } from '../../../src/flight/decode.js'
import { FlightLog } from '../../../src/flight/flight-log.js'
import { RequestIds } from '../../../src/flight/request-ids.js'
import { sentence } from '../../../src/flight/words.js'
import { addon } from '../../../src/runtime/binding.js'
import { SLOW_KEPT } from '../../../src/runtime/port.js'
import { loaded, row, slowEcho } from '../runtime/loaded.js'

it('numbers of a slow request lie where native code puts them', () => {
  expect(addon().layout()).toMatchObject({
    slowStride: SLOW_STRIDE,
    slowNumbers: SLOW_NUMBERS,
    batchNumbers: BATCH_NUMBERS,
    slowPrevious: PREVIOUS,
    slowMates: MATES,
    slowKept: SLOW_KEPT,
  })
})

it('a slow request is explained by its id, with its batch and its stages', async () => {
  const model = await slowEcho(20, { slowMs: 5, max_batch_size: 1 })
  await model.infer(row(1), { id: 'first' })
  const found = model.explain('first')
  expect(found).toMatchObject({ id: 'first', model: 'echo', version: '1', outcome: 'succeeded' })
  expect(found?.totalMs).toBeGreaterThanOrEqual(20)
  expect(found?.stages.compute).toBeGreaterThanOrEqual(20)
  expect(found?.batch).toMatchObject({ number: 1, rows: 1, requests: 1, reason: 'full', mates: [] })
  expect(found?.causes.reduce((sum, { ms }) => sum + ms, 0)).toBeCloseTo(found?.totalMs ?? 0, 6)
  expect(found?.text).toMatch(/^\d+\.\d ms: \d+\.\d /)
  expect(Math.abs((found?.at ?? 0) - Date.now())).toBeLessThan(60_000)
  expect(model.explain('another')).toBeUndefined()
  expect(model.explain('')).toBeUndefined()
})

it('a request behind another one names that one’s batch, and its own batch-mates', async () => {
  const model = await slowEcho(30, { slowMs: 5, max_batch_size: 4 })
  const first = model.infer(row(0))
  while (model.stats().running.batches === 0) await new Promise((resolve) => setTimeout(resolve, 1))
  await Promise.all([first, ...['a', 'b', 'c'].map((id) => model.infer(row(1), { id }))])
  const second = model.explain('b')
  expect(second?.causes.find(({ kind }) => kind === 'queue')?.detail).toMatch(/^behind batch 1 /)
  expect(second?.batch).toMatchObject({ number: 2, rows: 3 })
  expect([...(second?.batch?.mates ?? [])].sort()).toEqual(['a', 'c'])
  expect(model.slowRequests()).toHaveLength(4)
  const totals = model.slowRequests().map(({ totalMs }) => totalMs)
  expect(totals).toEqual([...totals].sort((a, b) => b - a))
})

it('requests that expire or fail are kept however fast they were', async () => {
  const model = await slowEcho(200, { slowMs: 10_000, max_batch_size: 1, parameters: { fail_every: 1 } })
  const first = model.infer(row(0), { id: 'fails' }).catch(() => 'failed')
  while (model.stats().running.batches === 0) await new Promise((resolve) => setTimeout(resolve, 1))
  const second = model.infer(row(0), { id: 'expires', deadlineMs: 60 }).catch(() => 'expired')
  expect(await Promise.all([first, second])).toEqual(['failed', 'expired'])
  expect(model.explain('fails')?.outcome).toBe('failed')
  expect(model.explain('expires')).toMatchObject({ outcome: 'expired' })
  expect(model.explain('expires')?.batch).toBeUndefined()
  expect(model.explain('expires')?.causes[0]?.kind).toBe('queue')
})

it('an id belongs to the request, not to the slot that another request has next', async () => {
  const model = await slowEcho(10, { slowMs: 1 })
  await model.infer(row(0), { id: 'named' })
  await model.infer(row(0))
  expect(
    model
      .slowRequests()
      .map(({ id }) => id)
      .sort(),
  ).toEqual(['', 'named'])
})

it('nothing is kept where slowMs is Infinity', async () => {
  const model = await slowEcho(10, { slowMs: Number.POSITIVE_INFINITY })
  await model.infer(row(0), { id: 'slow' })
  expect(model.slowRequests()).toEqual([])
})

it('what was explained stays after the model is closed', async () => {
  const model = await slowEcho(10, { slowMs: 1 })
  await model.infer(row(0), { id: 'last' })
  await model.close()
  expect(model.slowRequests().map(({ id }) => id)).toEqual(['last'])
  expect(model.explain('last')?.id).toBe('last')
})

it('slowMs must be a number of milliseconds', async () => {
  for (const slowMs of [0, -1, Number.NaN]) {
    await expect(loaded('models/echo', { slowMs })).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
  }
})

it('stats count batches by their rows, and so does their difference', async () => {
  const model = await slowEcho(1, { max_batch_size: 4 })
  await model.infer({ input: { data: new Float32Array(3 * 64), shape: [3, 64] } })
  const before = model.stats()
  expect(before.batches.sizes).toEqual({ 3: 1 })
  await model.infer(row(0))
  expect(model.stats().batches.sizes).toEqual({ 1: 1, 3: 1 })
  expect(model.stats().diff(before).batches.sizes).toEqual({ 1: 1 })
  model.resetStats()
  expect(model.stats().batches.sizes).toEqual({})
})

it('a log keeps a bounded number of ids', () => {
  let sequence = 0
  const ids = new RequestIds()
  const native = {
    slowRequests: (since: number) => {
      const numbers = new Float64Array(SLOW_STRIDE)
      numbers.set([sequence, 0, sequence], 0)
      return sequence > since ? numbers : new Float64Array(0)
    },
  }
  const nothing = { now: 1e12, late: new Float64Array(), stalls: new Float64Array(), samples: new Float64Array() }
  const model = { name: 'm', version: '1', attribution: { delays: false, cpus: 1 } }
  const log = new FlightLog(native, () => nothing, model, ids)
  for (sequence = 1; sequence <= 3000; sequence++) {
    ids.set(0, sequence, `id${sequence}`)
    log.onKept()
    log.slowRequests()
  }
  expect(log.slowRequests().length).toBeLessThanOrEqual(1025)
  expect(log.explain('id2999')?.id).toBe('id2999')
  expect(log.explain('id1')).toBeUndefined()
  log.close()
  expect(decodeSlow(new Float64Array(SLOW_STRIDE - 1))).toEqual([])
})

it('a sentence tells the causes that matter', () => {
  const causes = [
    { kind: 'gc', ms: 6.1, detail: 'garbage collection' },
    { kind: 'queue', ms: 3.2, detail: 'behind batch 812 (waited for deadline)' },
    { kind: 'unexplained', ms: 0.2, detail: 'unexplained (wake)' },
  ] as const
  expect(sentence(11.4, causes)).toBe('11.4 ms: 6.1 garbage collection, 3.2 behind batch 812 (waited for deadline)')
  expect(sentence(0.1, [])).toBe('0.1 ms')
})
