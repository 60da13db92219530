import { describe, expect, it } from 'vitest'
import { openLoop } from '../../../src/cli/bench-load.js'
import { seededInputs, seededRandom } from '../../../src/cli/seeded-inputs.js'
import { DATATYPES } from '../../../src/runtime/datatype.js'
import { fakeModel } from '../../../src/testing.js'
import { subten, vectorModel } from './running-cli.js'

const slow = () => fakeModel({ inputs: [], outputs: [] }, { latencyMs: 20 })

describe('subten bench', () => {
  it('measures a closed loop at each concurrency', async () => {
    const args = ['bench', 'models/vector', '--concurrency', '1,4', '--duration', '0.2', '--warmup', '0.05']
    const ran = await subten(args)
    expect(ran.code).toBe(0)
    expect(ran.out).toMatch(/closed loop, 4 in flight: \d+ answers\/s/)
    expect(ran.out).toMatch(/compute(\s+[\d.]+){5}/)
    expect(ran.out).toContain('hides stalls')
    expect(ran.err).toContain('1 in flight: warming up')
    const json = JSON.parse((await subten([...args, '--json'])).out)
    expect(json.runs).toMatchObject([{ concurrency: 1 }, { concurrency: 4 }])
    expect(json.runs[0].succeeded).toBe(json.runs[0].stagesUs.total.count)
  })

  it('measures an open loop from the intended send time', async () => {
    const args = ['bench', 'slow', '--rate', '200', '--duration', '0.5', '--warmup', '0', '--json']
    const ran = await subten(args, { models: { slow } })
    const [run] = JSON.parse(ran.out).runs
    expect(run.succeeded).toBeGreaterThan(60)
    expect(run.latencyUs.p50).toBeGreaterThan(18_000)
    expect(run.latencyUs.p50).toBeGreaterThanOrEqual(run.stagesUs.total.p50)
    expect(run.latenessUs.count).toBe(run.succeeded)
  })

  it('counts a stall against every request that it delayed', async () => {
    const model = fakeModel({ inputs: [], outputs: [] })
    setTimeout(() => {
      const until = performance.now() + 150
      while (performance.now() < until);
    }, 50)
    const { latency } = await openLoop(model, [{}], 1000, 0.4, seededRandom(1))
    // A third of the arrivals fall into the stall of 150 of 400 ms.
    expect(latency.percentile(80)).toBeGreaterThan(20e6)
  })

  it('reports failures, with exit code 1', async () => {
    const models = { failing: () => fakeModel({ inputs: [], outputs: [] }, { latencyMs: 1, failEvery: 3 }) }
    const ran = await subten(['bench', 'failing', '--concurrency', '1', '--duration', '0.1', '--warmup', '0'], {
      models,
    })
    expect(ran).toMatchObject({ code: 1, out: expect.stringMatching(/\d+ FAILED \(request \d+ fails/) })
  })

  it('refuses wrong options with 2, and a shape the model does not take with 1', async () => {
    const bench = (...args: string[]) => subten(['bench', 'models/vector', ...args])
    expect((await bench('--concurrency', '0')).code).toBe(2)
    expect((await bench('--rate', '-5')).code).toBe(2)
    expect((await bench('--shape', 'x')).code).toBe(2)
    expect((await bench('--shape', 'x=1,4')).code).toBe(1)
    expect((await bench('--shape', 'z=1')).code).toBe(1)
  })
})

describe('inputs of a seed', () => {
  it('are the same each time, and other for another seed', () => {
    const inputs = (seed: number) => seededInputs(vectorModel(), seededRandom(seed), 3, new Map())
    expect(inputs(1)).toEqual(inputs(1))
    expect(inputs(1)).not.toEqual(inputs(2))
  })

  it.each(DATATYPES)('suit %s', async (datatype) => {
    const model = fakeModel({ inputs: [{ name: 'x', datatype, shape: [-1, 2] }], outputs: [] })
    const [input] = seededInputs(model, seededRandom(1), 1, new Map([['x', [3, 2]]]))
    await expect(model.infer(input ?? {})).resolves.toBeDefined()
  })
})
