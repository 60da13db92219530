import { afterEach, describe, expect, it } from 'vitest'
import { load } from '../../../src/load/load.js'
import type { Model } from '../../../src/runtime/types.js'

const open: Model[] = []
afterEach(async () => {
  await Promise.all(open.splice(0).map((model) => model.close()))
})

async function loaded(...args: Parameters<typeof load>): Promise<Model> {
  const model = await load(...args)
  open.push(model)
  return model
}

const pixels = (seed: number): Float32Array =>
  Float32Array.from({ length: 784 }, (_, i) => ((i * 7919 + seed * 104_729) % 256) / 255)

describe('deterministic', () => {
  it('gives the same bits alone and among neighbours, and counts real rows', async () => {
    const model = await loaded('models/digits', { parameters: { 'subten.deterministic': true } })
    const [input, output] = [model.inputs[0]?.name as string, model.outputs[0]?.name as string]
    const length = (model.inputs[0]?.shape ?? []).slice(1).reduce((a, b) => a * b, 1)
    const ask = async (seed: number): Promise<unknown> =>
      (await model.infer({ [input]: pixels(seed).subarray(0, length) }))[output]?.data
    const alone = await ask(1)
    const before = model.stats()
    for (const neighbours of [3, model.maxBatchSize - 1]) {
      const answers = await Promise.all(Array.from({ length: neighbours + 1 }, (_, i) => ask(i + 1)))
      expect(answers[0]).toEqual(alone)
    }
    const { batches, requests } = model.stats().diff(before)
    expect(Math.round(batches.meanSize * batches.count)).toBe(requests.succeeded)
  })

  it('is refused where there is no batch', async () => {
    const options = { max_batch_size: 0, parameters: { 'subten.deterministic': true } } as const
    await expect(load('models/digits', options)).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
  })
})

describe('instances between count_min and count_max', () => {
  it('come when requests are left behind', async () => {
    const model = await loaded('models/echo', {
      slo: { p99Ms: 60_000 },
      latencyCache: false,
      max_batch_size: 1,
      parameters: { busy_us: 20_000, 'subten.count_min': 1, 'subten.count_max': 3 },
    })
    expect(model.stats().slo?.instances).toBe(1)
    const row = new Float32Array(64)
    await Promise.all(Array.from({ length: 40 }, () => model.infer({ input: row })))
    expect(model.stats().slo?.instances).toBeGreaterThan(1)
    expect(model.stats().requests.succeeded).toBe(40)
  })
})

describe('weight', () => {
  it('lets two models with weights answer everything', async () => {
    const heavy = { parameters: { busy_us: 500, 'subten.weight': 3 } }
    const light = { parameters: { busy_us: 500, 'subten.weight': 1 } }
    const models = await Promise.all([loaded('models/echo', heavy), loaded('models/echo', light)])
    const row = new Float32Array(64)
    await Promise.all(models.flatMap((model) => Array.from({ length: 100 }, () => model.infer({ input: row }))))
    for (const model of models) expect(model.stats().requests.succeeded).toBe(100)
  })
})
