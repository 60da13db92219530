import { describe, expect, it } from 'vitest'
import type { Dataset } from '../../../src/data/types.js'
import { measureAccuracy } from '../../../src/optimize/accuracy.js'
import type { Model, TensorInput } from '../../../src/runtime/types.js'
import { fakeModel } from '../../../src/testing.js'

const CLASSES = 12
const ROWS = 130

/** Scores that stand in the data, changed by `change`. */
const scorer = (change: (scores: Float32Array, row: number) => void = () => {}, name = 'scorer'): Model =>
  fakeModel(
    {
      name,
      maxBatchSize: 16,
      inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, CLASSES] }],
      outputs: [{ name: 'y', datatype: 'FP32', shape: [-1, CLASSES] }],
    },
    {
      outputs: ({ x }) => {
        const data = Float32Array.from((x as { data: Float32Array }).data)
        for (let row = 0; row < data.length / CLASSES; row++) {
          const own = data.subarray(row * CLASSES, (row + 1) * CLASSES)
          change(own, Math.round(own[CLASSES - 1] as number) - 1000)
        }
        return { y: data as never }
      },
    },
  )

/** The class of row i has the highest score, but for every thirteenth row, where it is the third. The last is its number. */
function dataset(labelled = true): Dataset {
  const data = new Float32Array(ROWS * CLASSES)
  const labels = new Int32Array(ROWS)
  for (let row = 0; row < ROWS; row++) {
    const label = row % (CLASSES - 3)
    labels[row] = label
    data[row * CLASSES + label] = 3
    if (row % 13 === 0) {
      data[row * CLASSES + label + 1] = 5
      data[row * CLASSES + label + 2] = 4
    }
  }
  return {
    path: 'made up',
    count: ROWS,
    ...(labelled ? { labels } : {}),
    rows: async (from, to) => ({
      x: { data: data.slice(from * CLASSES, to * CLASSES), shape: [to - from, CLASSES] } as TensorInput,
    }),
    sha256: 'none',
  }
}

describe('accuracy', () => {
  it('counts the right class first, and among the first five', async () => {
    const figures = await measureAccuracy(scorer(), dataset())
    expect(figures).toMatchObject({ rows: ROWS, classes: CLASSES })
    expect(figures.top1?.value).toBeCloseTo(120 / 130)
    expect(figures.top5?.value).toBe(1)
    expect(figures.against).toBeUndefined()
  })

  it('pairs two models row by row', async () => {
    // Wrong where the score of the right class is the only one above 0 and that class is 0: rows 9, 18, …
    const worse = scorer((scores) => {
      if (scores[0] === 3 && scores[1] === 0) scores[1] = 9
    })
    const figures = await measureAccuracy(worse, dataset(), { against: scorer(undefined, 'base') })
    const { against } = figures
    const lost = Array.from({ length: ROWS }, (_, row) => row).filter((row) => row % 9 === 0 && row % 13 !== 0).length
    expect(against).toMatchObject({ model: 'base', onlyThis: 0, onlyOther: lost })
    expect(against?.difference?.value).toBeCloseTo(-lost / ROWS)
    expect(against?.difference?.high).toBeLessThan(0)
    expect(against?.agreement?.value).toBeCloseTo(1 - lost / ROWS)
    expect(against?.pValue).toBeLessThan(0.001)
    expect(against?.outputs.maxAbs).toBe(9)
    expect(against?.outputs.cosine).toBeLessThan(1)
  })

  it('compares outputs where there are no labels', async () => {
    const figures = await measureAccuracy(
      scorer((scores) =>
        scores.forEach((_, i) => {
          scores[i] = (scores[i] as number) * 2
        }),
      ),
      dataset(false),
      { against: scorer(undefined, 'base') },
    )
    expect(figures.top1).toBeUndefined()
    expect(figures.against?.difference).toBeUndefined()
    expect(figures.against?.agreement?.value).toBe(1)
    expect(figures.against?.outputs.maxAbs).toBe(5)
    expect(figures.against?.outputs.cosine).toBeCloseTo(1)
  })

  it('refuses data that say nothing, and labels that are no class', async () => {
    await expect(measureAccuracy(scorer(), dataset(false))).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      message: expect.stringContaining('no labels'),
    })
    const data = { ...dataset(), labels: new Int32Array(ROWS).fill(CLASSES) }
    await expect(measureAccuracy(scorer(), data)).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      message: expect.stringContaining('row 0 has class 12'),
    })
  })

  it('refuses labels for a model without scores of classes', async () => {
    const picture = fakeModel({
      maxBatchSize: 4,
      inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, CLASSES] }],
      outputs: [{ name: 'y', datatype: 'FP32', shape: [-1, 3, 4] }],
    })
    await expect(measureAccuracy(picture, dataset())).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      message: expect.stringContaining('scores of classes'),
    })
  })
})
