import { SubtenError } from '../runtime/errors.js'
import type { ClassScore, Model, Outputs, TensorSpec } from '../runtime/types.js'
import { softmaxWanted } from './image-spec.js'
import { softmax, topK } from './top-k.js'

/** The output with labels, or else the first that has a score for each class; undefined: the model has none. */
export function scoresOutput(model: Model): TensorSpec | undefined {
  const numeric = model.outputs.filter((output) => output.datatype !== 'BYTES')
  return numeric.find((output) => model.labels(output.name) !== undefined) ?? numeric[0]
}

/**
 * The k likeliest classes of a result, as many as there are at most. Without labels a class is called by its index.
 *
 * @throws SubtenError ENGINE_FAILED where the result lacks the output
 */
export function ranked(model: Model, output: TensorSpec, outputs: Outputs, k: number): ClassScore[] {
  const tensor = Object.hasOwn(outputs, output.name) ? outputs[output.name] : undefined
  if (!tensor) throw new SubtenError('ENGINE_FAILED', `the model gave no output ${JSON.stringify(output.name)}`)
  const raw = tensor.toFloat32()
  const scores = softmaxWanted(model) ? softmax(raw) : raw
  const labels = model.labels(output.name)
  return topK(scores, Math.min(k, scores.length)).map(({ index, score }) => ({
    label: labels?.[index] ?? String(index),
    index,
    score,
  }))
}
