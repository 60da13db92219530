import { seededRandom } from '../profile/random.js'
import { seededInputs } from '../profile/seeded-inputs.js'
import type { Context } from './context.js'

const TIMES = 9

/** What batches of each power of two take through the model, alone on this machine: the median of nine, nanoseconds. */
export async function measuredTable(path: string, maxBatch: number, context: Context): Promise<[number, number][]> {
  const model = await context.load(path, {})
  try {
    const most = Math.max(1, Math.min(maxBatch, model.maxBatchSize))
    const table: [number, number][] = []
    for (let rows = 1; rows <= most; rows = rows < most ? Math.min(most, rows * 2) : most + 1) {
      const shapes = new Map<string, number[]>()
      for (const { name, shape } of model.inputs) {
        const dims = shape.map((d) => (d < 0 ? 1 : d))
        shapes.set(name, model.maxBatchSize > 0 ? [rows, ...dims.slice(1)] : dims)
      }
      const [inputs] = seededInputs(model, seededRandom(1), 1, shapes)
      const took: number[] = []
      for (let i = 0; inputs && i <= TIMES; i++) {
        const began = process.hrtime.bigint()
        await model.infer(inputs)
        if (i > 0) took.push(Number(process.hrtime.bigint() - began))
      }
      table.push([rows, took.sort((a, b) => a - b)[TIMES >> 1] as number])
    }
    return table
  } finally {
    await model.close()
  }
}
