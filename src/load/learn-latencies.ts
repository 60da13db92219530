import { STORAGE } from '../runtime/datatype.js'
import { SubtenError } from '../runtime/errors.js'
import { product } from '../runtime/inputs.js'
import type { NativeModel } from '../runtime/model.js'
import type { TensorInput } from '../runtime/types.js'

const MOST_MS = 2000
const RUNS_OF_A_SIZE = 7

/**
 * Lets an engine that completes asynchronously run batches of zeros, of 1, 2, 4 … `maxBatchSize` rows, so that the
 * scheduler knows what they take before the first request: it learns from them as from any others. Two seconds at most
 * but for the run that is under way then; figures start anew afterwards.
 *
 * Engines that complete where they were called are measured without a core (`addon.measureLatencies`).
 */
export async function learnLatencies(model: NativeModel): Promise<void> {
  if (model.inputs.some(({ datatype }) => datatype === 'BYTES')) return
  try {
    await runSizes(model, Math.max(1, model.maxBatchSize), performance.now() + MOST_MS)
  } finally {
    model.resetStats()
  }
}

async function runSizes(model: NativeModel, most: number, until: number): Promise<void> {
  for (let rows = 1; ; rows = Math.min(rows * 2, most)) {
    const inputs = zeros(model, rows)
    for (let run = 0; run < RUNS_OF_A_SIZE; run++) {
      if (performance.now() >= until || !(await learned(model, inputs))) return
    }
    if (rows === most) return
  }
}

/** False: what is known is already enough to refuse, or zeros are nothing that the model takes. */
async function learned(model: NativeModel, inputs: Record<string, TensorInput>): Promise<boolean> {
  try {
    await model.infer(inputs)
    return true
  } catch (error) {
    if (error instanceof SubtenError) return false
    throw error
  }
}

function zeros(model: NativeModel, rows: number): Record<string, TensorInput> {
  const inputs: Record<string, TensorInput> = {}
  for (const { name, datatype, shape, optional } of model.inputs) {
    if (optional) continue
    const known = shape.map((size, i) => (size >= 0 ? size : i === 0 && model.maxBatchSize > 0 ? rows : 1))
    const { array } = STORAGE[datatype]
    inputs[name] = { datatype, shape: known, data: new array(product(known)) as TensorInput['data'] }
  }
  return inputs
}
