import { describe, expect, it } from 'vitest'
import { derivedSeed, seededRandom } from '../../../src/profile/random.js'
import { seededInputs } from '../../../src/profile/seeded-inputs.js'
import { DATATYPES } from '../../../src/runtime/datatype.js'
import { fakeModel } from '../../../src/testing.js'
import { vectorModel } from '../cli/running-cli.js'

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

describe('the seeds made from one', () => {
  it('differ by use and by seed', () => {
    const seeds = [0, 1, 2, 3, 2 ** 32 - 1].flatMap((seed) => [1, 2, 3, 4].map((use) => derivedSeed(seed, use)))
    expect(new Set(seeds).size).toBe(seeds.length)
    for (const seed of seeds) expect(seed).toBe(seed >>> 0)
  })
})
