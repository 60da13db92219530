import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { writePictures } from '../../scripts/vision/sets.mjs'
import { LABELS } from '../../scripts/vision/signs.mjs'
import { type Dataset, openDataset } from '../../src/data/dataset.js'
import { load, type Model } from '../../src/index.js'

const HELD_OUT = '.cache/vision/heldout'
const VARIANTS = ['vision', 'vision_int8', 'vision_int8_minmax']
const ROWS = 32

interface Accuracy {
  top1: number
  low: number
  high: number
  n: number
}

function parameterOf<T>(model: Model, key: string): T {
  const { string_value: text } = (model.config.parameters as Record<string, { string_value: string }>)[key] ?? {}
  return JSON.parse(text ?? 'null') as T
}

/** Index of the largest score in each row. */
function winners(scores: Float32Array, classes: number): number[] {
  return Array.from({ length: scores.length / classes }, (_, row) => {
    const own = scores.subarray(row * classes, (row + 1) * classes)
    return own.indexOf(Math.max(...own))
  })
}

describe('models/vision and its quantised variants on pictures drawn anew', () => {
  const models = new Map<string, Model>()
  const said = new Map<string, number[]>()
  let data: Dataset

  const model = (name: string): Model => models.get(name) as Model
  const share = (name: string): number => {
    const own = said.get(name) as number[]
    return own.filter((index, row) => index === data.labels?.[row]).length / own.length
  }

  beforeAll(async () => {
    await writePictures('heldout', HELD_OUT)
    for (const name of VARIANTS) models.set(name, await load(join('models', name)))
    data = await openDataset(HELD_OUT, model('vision'))
    for (const name of VARIANTS) said.set(name, [])
    for (let from = 0; from < data.count; from += ROWS) {
      const inputs = await data.rows(from, Math.min(from + ROWS, data.count))
      const answers = await Promise.all(VARIANTS.map((name) => model(name).inferMany([inputs])))
      for (const [i, name] of VARIANTS.entries()) {
        const scores = answers[i]?.[0]?.probabilities?.data as Float32Array
        said.get(name)?.push(...winners(scores, LABELS.length))
      }
    }
  }, 180_000)

  afterAll(async () => {
    await Promise.all([...models.values()].map((each) => each.close()))
  })

  it('all take the same input and name the same classes', () => {
    for (const name of VARIANTS) {
      expect(model(name).inputs).toMatchObject([{ name: 'image', datatype: 'FP32', shape: [-1, 3, 96, 96] }])
      expect(model(name).outputs).toMatchObject([{ name: 'probabilities', datatype: 'FP32', shape: [-1, 48] }])
      expect(model(name).labels('probabilities')).toEqual(LABELS)
      expect(parameterOf(model(name), 'subten.preprocess')).toEqual(parameterOf(model('vision'), 'subten.preprocess'))
    }
  })

  it.each(VARIANTS)('%s is as often right as its config says', (name) => {
    const stated = parameterOf<Accuracy>(model(name), 'subten.accuracy')
    expect(stated.n).toBe(data.count)
    expect(stated.low).toBeLessThan(stated.top1)
    expect(stated.high).toBeGreaterThan(stated.top1)
    expect(stated.high - stated.low).toBeLessThan(0.05)
    expect(share(name)).toBeGreaterThanOrEqual(stated.low)
    expect(share(name)).toBeLessThanOrEqual(stated.high)
  })

  it('careful INT8 stays within a point of FP32, careless INT8 loses at least two', () => {
    expect(Math.abs(share('vision') - share('vision_int8'))).toBeLessThanOrEqual(0.01)
    expect(share('vision_int8') - share('vision_int8_minmax')).toBeGreaterThanOrEqual(0.02)
  })

  it('a picture classified as a request sends it gets the class that its tensor gets', async () => {
    const bytes = readFileSync('examples/pictures/stop.jpg')
    const { top } = await model('vision').classify(bytes, { topK: 1 })
    expect(top[0]?.label).toBe('stop')
  })
})
