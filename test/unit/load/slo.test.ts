import { describe, expect, it } from 'vitest'
import { load } from '../../../src/load/load.js'
import { refuseUnschedulable } from '../../../src/load/slo.js'
import { emptyConfig } from '../../../src/repository/config-document.js'
import type { LoadOptions } from '../../../src/runtime/types.js'
import { rejection, thrown } from '../repository/thrown.js'
import { fakedScheduling } from '../runtime/faked-scheduling.js'
import { loaded, modelDirectory, nullModel } from '../runtime/loaded.js'
import { contract, objective } from '../sla/objectives.js'

const uncached = { latencyCache: false } as const
const tensors = `
  input [{ name: "input" data_type: TYPE_FP32 dims: [ 64 ] }]
  output [{ name: "output" data_type: TYPE_FP32 dims: [ 64 ] }]`
const promised = `parameters { key: "subten.slo" value { string_value: "{\\"p99Ms\\": 20}" } }`

describe('slo', () => {
  it.each<[unknown]>([
    [5],
    [true],
    ['p99'],
    [[]],
    [{}],
    [{ p99Ms: 0 }],
    [{ p99Ms: -1 }],
    [{ p99Ms: Number.NaN }],
    [{ p99Ms: Number.POSITIVE_INFINITY }],
    [{ p99Ms: 3_600_001 }],
    [{ p99Ms: '5' }],
    [{ p99Ms: 5, p95Ms: 1 }],
  ])('%j is CONFIG_INVALID', async (slo) => {
    const error = await rejection(load('models/echo', { slo: slo as { p99Ms: number } }))
    expect(error).toMatchObject({ code: 'CONFIG_INVALID', details: { field: 'slo' } })
    expect(error.message).toMatch(/^options: slo: must be \{ p99Ms \}/)
  })

  it.each<[unknown]>([[''], [5], [true], [null]])(
    'with a latencyCache of %j is CONFIG_INVALID',
    async (latencyCache) => {
      const error = await rejection(load('models/echo', { slo: { p99Ms: 5 }, latencyCache: latencyCache as string }))
      expect(error).toMatchObject({ code: 'CONFIG_INVALID', details: { field: 'latencyCache' } })
    },
  )

  it('goes to the core in nanoseconds, and the model says it', async () => {
    const { cores } = fakedScheduling()
    const model = await loaded('models/echo', { slo: { p99Ms: 2.5 }, ...uncached })
    expect(model.slo).toEqual({ p99Ms: 2.5 })
    expect(cores[0]).toMatchObject({
      sloNs: 2_500_000,
      dynamic: true,
      latencyTable: expect.stringMatching(/^subten-latency\/1 0:1:/),
    })
    expect((await loaded('models/echo')).slo).toBeUndefined()
    expect(cores[1]).toMatchObject({ sloNs: 0, countMin: 0, countMax: 0, weight: 0, deterministic: false })
  })

  it('batches where config.pbtxt does not say so, if a batch can have more than a row', async () => {
    const { cores } = fakedScheduling()
    await nullModel(`max_batch_size: 8\n${tensors}`, { slo: { p99Ms: 5 }, ...uncached })
    await nullModel(`max_batch_size: 8\n${tensors}`)
    await nullModel(`max_batch_size: 1\n${tensors}`, { slo: { p99Ms: 5 }, ...uncached })
    expect(cores.map(({ dynamic }) => dynamic)).toEqual([true, false, false])
  })

  it('of config.pbtxt holds where the options say nothing, and false or null turns it off', async () => {
    const { cores } = fakedScheduling()
    const directory = await modelDirectory('null', `backend: "subten_null"\nmax_batch_size: 8\n${tensors}\n${promised}`)
    const slos = []
    for (const options of [{}, { slo: { p99Ms: 7 } }, { slo: false }, { slo: null }] as LoadOptions[]) {
      slos.push((await loaded(directory, { ...options, ...uncached })).slo?.p99Ms)
    }
    expect(slos).toEqual([20, 7, undefined, undefined])
    expect(cores.map(({ sloNs }) => sloNs)).toEqual([20e6, 7e6, 0, 0])
  })

  it('and the other settings may come as parameters of load, as what they are, and null takes one away', async () => {
    const { cores } = fakedScheduling()
    const directory = await modelDirectory('null', `backend: "subten_null"\nmax_batch_size: 8\n${tensors}\n${promised}`)
    const parameters = {
      'subten.slo': { p99Ms: 9 },
      'subten.count_max': 3,
      'subten.weight': 1.5,
      'subten.deterministic': true,
    }
    await loaded(directory, { parameters, ...uncached })
    expect(cores[0]).toMatchObject({ sloNs: 9e6, countMin: 0, countMax: 3, weight: 1.5, deterministic: true })
    expect((await loaded(directory, { parameters: { 'subten.slo': null }, ...uncached })).slo).toBeUndefined()
    const error = await rejection(load(directory, { parameters: { 'subten.weight': -1 } }))
    expect(error).toMatchObject({
      code: 'CONFIG_INVALID',
      details: { field: 'parameters["subten.weight"].string_value' },
    })
  })

  it('is NOT_SUPPORTED for a decoupled model, with the place where it is written', async () => {
    const decoupled = `backend: "subten_null"\nmax_batch_size: 8\nmodel_transaction_policy { decoupled: true }\n${tensors}\n`
    const directory = await modelDirectory('null', decoupled + promised)
    const error = await rejection(load(directory))
    expect(error).toMatchObject({ code: 'NOT_SUPPORTED', details: { line: 7 } })
    expect(error.message).toMatch(/config\.pbtxt:7: parameters\["subten\.slo"\].*decoupled/)
    const option = await rejection(load(directory, { slo: { p99Ms: 5 }, parameters: { 'subten.slo': null } }))
    expect(option.message).toMatch(/^options: slo: the model is decoupled/)
    await loaded(directory, { slo: false })
  })

  it('is NOT_SUPPORTED where an engine batches by itself, and so are bounds of instances and padding', () => {
    const facts = { engine: 'triton', decoupled: false, engineBatches: true }
    const refuse = (settings: object, slo?: { p99Ms: number }): { code: string; message: string } =>
      thrown(() => refuseUnschedulable(emptyConfig(), slo, settings, facts))
    expect(refuse({}, { p99Ms: 1 })).toMatchObject({
      code: 'NOT_SUPPORTED',
      message: expect.stringMatching(/slo: the scheduler of triton orders/),
    })
    for (const [settings, name] of [
      [{ deterministic: true }, 'deterministic'],
      [{ countMin: 1 }, 'count_min'],
      [{ countMax: 2 }, 'count_max'],
    ] as const) {
      expect(refuse(settings)).toMatchObject({ code: 'NOT_SUPPORTED', message: expect.stringContaining(name) })
    }
    refuseUnschedulable(emptyConfig(), undefined, { weight: 2, deterministic: false }, facts)
    refuseUnschedulable(emptyConfig(), { p99Ms: 1 }, { countMin: 1 }, { ...facts, engineBatches: false })
  })
})

describe("slo: 'contract'", () => {
  const latency = (name: string, target: number, thresholdUs: number, model = 'echo') =>
    objective({ name, target, indicator: { kind: 'latency', model, point: 'engine', thresholdUs } })
  const sla = contract(
    latency('most', 0.9, 1000),
    latency('nearly all', 0.99, 30_000),
    latency('all but a few', 0.999, 25_000),
    latency('of another', 0.99, 2000, 'digits'),
    objective({ indicator: { kind: 'availability', model: 'echo', point: 'engine' } }),
  )

  it('takes the tightest latency that 99 % or more are to keep', async () => {
    const model = await loaded('models/echo', { sla, slo: 'contract', ...uncached })
    expect(model.slo).toEqual({ p99Ms: 25 })
  })

  it('gives way to what config.pbtxt promises', async () => {
    const parameters = { 'subten.slo': { p99Ms: 3 } }
    expect((await loaded('models/echo', { sla, slo: 'contract', parameters, ...uncached })).slo).toEqual({ p99Ms: 3 })
  })

  it('needs a contract, and one that promises a latency of this model', async () => {
    const without = await rejection(load('models/echo', { slo: 'contract' }))
    expect(without).toMatchObject({ code: 'CONFIG_INVALID', details: { field: 'slo' } })
    const other = contract(latency('most', 0.9, 1000), latency('of another', 0.99, 2000, 'digits'))
    const none = await rejection(load('models/echo', { sla: other, slo: 'contract' }))
    expect(none).toMatchObject({ code: 'CONFIG_INVALID', message: expect.stringContaining("model 'echo'") })
  })
})
