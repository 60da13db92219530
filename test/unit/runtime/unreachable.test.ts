import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { attach } from '../../../src/runtime/attach.js'
import { withDeadline } from '../../../src/runtime/deadline.js'
import { toProblem } from '../../../src/server/problem.js'
import { rejection } from '../repository/thrown.js'
import { serving } from '../server/running-server.js'
import { fakedScheduling } from './faked-scheduling.js'
import { closedAfter, loaded, row } from './loaded.js'

const slo = { slo: { p99Ms: 20 }, latencyCache: false } as const

describe('a request that is predicted to be late', () => {
  it('is refused with the prediction and with what is left of its budget', async () => {
    const faked = fakedScheduling()
    const model = await loaded('models/echo', slo)
    faked.refuse = () => 'unreachable'
    const refused = await rejection(model.infer(row(1), { deadlineMs: 5 }))
    expect(refused.code).toBe('SLO_UNREACHABLE')
    expect(refused.message).toBe('the request would end 12.3 ms from now, and 5.0 ms of its budget are left')
    expect(refused.details).toEqual({ predictedMs: 12.3, budgetMs: 5 })
    expect(toProblem(refused)).toMatchObject({ status: 503, code: 'SLO_UNREACHABLE' })
    faked.predictedMs = -4
    const crowding = await rejection(model.infer(row(1), { deadlineMs: 5 }))
    expect(crowding.message).toMatch(/would end 4\.0 ms from now, but make requests late that were admitted before/)
    expect(crowding.details).toEqual({ predictedMs: 4, budgetMs: 5 })
    faked.predictedMs = 12.3
    const soft = await rejection(model.infer(row(1)))
    expect(soft.details).toEqual({ predictedMs: 12.3, budgetMs: 20 })
    const ambient = await rejection(withDeadline(8, () => model.infer(row(1), { deadlineMs: 100 })))
    expect(ambient.details.budgetMs).toBeGreaterThan(0)
    expect(ambient.details.budgetMs).toBeLessThanOrEqual(8)
    expect(model.stats().requests).toMatchObject({ refused: 4, submitted: 0 })
  })

  it('is refused alike by inferMany, a stream and a slot, and nobody waits for room', async () => {
    const faked = fakedScheduling()
    const model = await loaded('models/echo', { ...slo, whenFull: 'wait' })
    faked.refuse = () => 'unreachable'
    const settled = await model.inferMany([row(1), row(2)], { onError: 'settle' })
    for (const each of settled) expect(each).toMatchObject({ ok: false, error: { code: 'SLO_UNREACHABLE' } })
    await expect(model.infer(row(1))).rejects.toMatchObject({ code: 'SLO_UNREACHABLE' })
    const stream = await rejection(model.stream(row(1), { deadlineMs: 5 }).next())
    expect(stream).toMatchObject({ code: 'SLO_UNREACHABLE', details: { predictedMs: 12.3, budgetMs: 5 } })
    const slot = await model.claim()
    const claimed = await rejection(slot.submit({ deadlineMs: 5 }))
    expect(claimed).toMatchObject({ code: 'SLO_UNREACHABLE', details: { predictedMs: 12.3, budgetMs: 5 } })
    faked.refuse = () => undefined
    slot.inputs.input?.data.fill(3 as never)
    expect((await slot.submit()).output?.data[0]).toBe(3)
    slot.release()
    expect(model.stats().requests).toMatchObject({ refused: 5, succeeded: 1 })
  })

  it('is refused when its turn comes, where it waited for room', async () => {
    const faked = fakedScheduling()
    const model = await loaded('models/echo', { ...slo, whenFull: 'wait' })
    faked.refuse = () => 'full'
    const waiting = model.infer(row(1), { deadlineMs: 10_000 })
    faked.refuse = () => 'unreachable'
    const refused = await rejection(waiting)
    expect(refused.code).toBe('SLO_UNREACHABLE')
    expect(refused.details.budgetMs).toBeLessThan(10_000)
    expect(model.stats().requests).toMatchObject({ refused: 1, inFlight: 0 })
  })
})

describe('stats().slo', () => {
  it('tells what native code counts, and diff() subtracts what are counts', async () => {
    const faked = fakedScheduling()
    const model = await loaded('models/echo', slo)
    faked.figures.push(1, 0, 1e6, 2e6, 50, 0, 8, 1, 3e6, 4e6, 0, 2)
    const before = model.stats()
    expect(before.slo).toEqual({
      admitted: 10,
      refused: 2,
      dropped: 1,
      late: 3,
      arrivalRate: 100,
      bestRate: 200,
      loopLatenessUs: 5,
      instances: 2,
      latencies: [
        { rows: 1, shapeClass: 0, typicalUs: 1000, highUs: 2000, samples: 50, basis: 'measured' },
        { rows: 8, shapeClass: 1, typicalUs: 3000, highUs: 4000, samples: 0, basis: 'beyond' },
      ],
    })
    faked.figures = [1, 15, 2, 4, 3, 50, 200, 0, 1]
    expect(model.stats().diff(before).slo).toEqual({
      ...{ admitted: 5, refused: 0, dropped: 3, late: 0 },
      ...{ arrivalRate: 50, bestRate: 200, loopLatenessUs: 0, instances: 1, latencies: [] },
    })
    faked.figures = [0]
    expect('slo' in model.stats()).toBe(false)
  })

  it('is in /metrics', async () => {
    const faked = fakedScheduling()
    const model = await loaded('models/echo', slo)
    faked.figures.push(8, 0, 1e6, 2e6, 50, 0)
    const { url } = await serving([model])
    const text = await (await fetch(`${url}/metrics`)).text()
    for (const line of [
      'subten_slo_target_seconds{model="echo",version="1"} 0.02',
      'subten_slo_requests_total{model="echo",version="1",outcome="dropped"} 1',
      'subten_slo_instances{model="echo",version="1"} 2',
      'subten_slo_batch_latency_seconds{model="echo",version="1",rows="8",shape_class="0",estimate="high"} 0.002',
      'subten_slo_batch_samples{model="echo",version="1",rows="8",shape_class="0",basis="measured"} 50',
    ]) {
      expect(text).toContain(line)
    }
  })
})

describe('the cheaper variant', () => {
  const image = { image: new Float32Array(64) }
  const digits = { ...slo, parameters: { 'subten.cheaper_variant': '"digits_int8"' } }
  const refuseBy = (how: Record<string, 'unreachable' | 'full'>) => (model: string) => how[model]

  it('answers what the model could not in time, and the result says so', async () => {
    const faked = fakedScheduling()
    const model = await loaded('models/digits', digits)
    expect(faked.cores.map(({ sloNs }) => sloNs)).toEqual([20e6, 20e6])
    const own = await model.infer(image, { trace: true })
    expect(own.servedBy).toBeUndefined()
    expect(own.timing?.servedBy).toBeUndefined()
    faked.refuse = refuseBy({ digits: 'unreachable' })
    const other = await model.infer(image, { trace: true })
    expect(other.servedBy).toBe('digits_int8')
    expect(other.timing?.servedBy).toBe('digits_int8')
    expect(Object.keys(other)).toEqual(['probabilities'])
    const many = await model.inferMany([image, image])
    expect(many.map(({ servedBy }) => servedBy)).toEqual(['digits_int8', 'digits_int8'])
    const stats = model.stats()
    expect(stats.requests).toMatchObject({ servedByVariant: 3, refused: 0, succeeded: 1 })
    await model.infer(image)
    expect(model.stats().diff(stats).requests).toMatchObject({ servedByVariant: 1, succeeded: 0 })
    model.resetStats()
    expect(model.stats().requests.servedByVariant).toBe(0)
  })

  it.each(['unreachable', 'full'] as const)(
    'is asked once; where it refuses (%s), the first error stands',
    async (how) => {
      const faked = fakedScheduling()
      const model = await loaded('models/digits', { ...digits, whenFull: 'wait' })
      faked.refuse = refuseBy({ digits: 'unreachable', digits_int8: how })
      const refused = await rejection(model.infer(image, { deadlineMs: 5 }))
      expect(refused).toMatchObject({ code: 'SLO_UNREACHABLE', details: { budgetMs: 5 } })
      expect(faked.submitted).toEqual(['digits', 'digits_int8'])
      expect(model.stats().requests).toMatchObject({ refused: 1, servedByVariant: 0 })
    },
  )

  it('answers also for what waited for room, with what is left of the budget', async () => {
    const faked = fakedScheduling()
    const model = await loaded('models/digits', { ...digits, whenFull: 'wait' })
    faked.refuse = refuseBy({ digits: 'full' })
    const waiting = model.infer(image, { deadlineMs: 10_000 })
    await sleep(30)
    faked.refuse = refuseBy({ digits: 'unreachable' })
    expect((await waiting).servedBy).toBe('digits_int8')
    expect(faked.submitted.at(-1)).toBe('digits_int8')
    expect(faked.budgets.at(-1)).toBeLessThan(9975)
    expect(faked.budgets.at(-1)).toBeGreaterThan(1000)
    expect(model.stats().requests).toMatchObject({ refused: 0, servedByVariant: 1 })
  })

  it('is not asked by streams, slots and inferSync, nor for other errors', async () => {
    const faked = fakedScheduling()
    const model = await loaded('models/digits', digits)
    faked.refuse = refuseBy({ digits: 'unreachable' })
    expect(await rejection(model.stream(image).next())).toMatchObject({ code: 'SLO_UNREACHABLE' })
    const slot = await model.claim()
    expect(await rejection(slot.submit())).toMatchObject({ code: 'SLO_UNREACHABLE' })
    slot.release()
    expect(model.inferSync(image).servedBy).toBeUndefined()
    faked.refuse = refuseBy({ digits: 'full' })
    expect(await rejection(model.infer(image))).toMatchObject({ code: 'QUEUE_FULL' })
    expect(await rejection(model.infer({ image: new Float32Array(3) }))).toMatchObject({ code: 'INVALID_INPUT' })
    expect(faked.submitted).not.toContain('digits_int8')
    expect(model.stats().requests).toMatchObject({ refused: 3, servedByVariant: 0 })
  })

  it('answers for handles on the model that other threads attach', async () => {
    const faked = fakedScheduling()
    const model = await loaded('models/digits', digits)
    const handle = closedAfter(attach(structuredClone(model.share())))
    faked.refuse = refuseBy({ digits: 'unreachable' })
    expect(handle.slo).toEqual({ p99Ms: 20 })
    expect((await handle.infer(image)).servedBy).toBe('digits_int8')
    faked.refuse = () => 'unreachable'
    expect((await rejection(handle.infer(image))).details).toEqual({ predictedMs: 12.3, budgetMs: 20 })
  })

  it('is closed with the model, and not loaded without slo', async () => {
    const faked = fakedScheduling()
    const model = await loaded('models/digits', digits)
    faked.refuse = refuseBy({ digits: 'unreachable' })
    const last = model.infer(image)
    await model.close()
    expect((await last).servedBy).toBe('digits_int8')
    await loaded('models/digits', { parameters: digits.parameters })
    expect(faked.cores).toHaveLength(3)
  })

  it.each([
    ['mlp', /has no input "image"/],
    ['digits', /names the model itself/],
  ])('%j is CONFIG_INVALID', async (name, message) => {
    const parameters = { 'subten.cheaper_variant': JSON.stringify(name) }
    const error = await rejection(loaded('models/digits', { ...slo, parameters }))
    expect(error.code).toBe('CONFIG_INVALID')
    expect(error.message).toMatch(message)
    expect(error.details.field).toBe('parameters["subten.cheaper_variant"].string_value')
  })

  it('that is not there is MODEL_NOT_FOUND', async () => {
    const parameters = { 'subten.cheaper_variant': '"digits_int4"' }
    const error = await rejection(loaded('models/digits', { ...slo, parameters }))
    expect(error).toMatchObject({ code: 'MODEL_NOT_FOUND' })
  })
})
