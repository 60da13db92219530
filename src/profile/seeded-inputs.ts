import { STORAGE } from '../runtime/datatype.js'
import { SubtenError } from '../runtime/errors.js'
import type { Inputs, InputValue, TensorSpec } from '../runtime/types.js'

/** Requests of one row with random elements. Unknown dimensions are 1, except where `shapes` gives them. */
export function seededInputs(
  model: { readonly name: string; readonly inputs: readonly TensorSpec[] },
  random: () => number,
  count: number,
  shapes: ReadonlyMap<string, readonly number[]>,
): Inputs[] {
  for (const name of shapes.keys()) {
    if (!model.inputs.some((spec) => spec.name === name)) {
      throw new SubtenError('INVALID_INPUT', `model '${model.name}' has no input '${name}'`)
    }
  }
  return Array.from({ length: count }, () => {
    const inputs: Record<string, InputValue> = Object.create(null)
    for (const spec of model.inputs) {
      if (!spec.optional) inputs[spec.name] = seededTensor(spec, shapes.get(spec.name), random)
    }
    return inputs
  })
}

function seededTensor(spec: TensorSpec, given: readonly number[] | undefined, random: () => number): InputValue {
  const { datatype } = spec
  const shape = given ?? spec.shape.map((d) => (d < 0 ? 1 : d))
  const count = shape.reduce((n, d) => n * d, 1)
  if (datatype === 'BYTES')
    return { data: Array.from({ length: count }, () => random().toString(36).slice(2)), shape, datatype }
  const data = new STORAGE[datatype].array(count)
  for (let i = 0; i < count; i++) {
    if (datatype === 'FP32' || datatype === 'FP64') data[i] = random()
    else if (datatype === 'BOOL') data[i] = random() < 0.5 ? 0 : 1
    else if (datatype === 'FP16')
      data[i] = 0x3800 + Math.floor(random() * 0x400) // 0.5 to 1
    else if (datatype === 'BF16')
      data[i] = 0x3f00 + Math.floor(random() * 0x80) // 0.5 to 1
    else if (datatype === 'INT64' || datatype === 'UINT64') data[i] = BigInt(Math.floor(random() * 2))
    else data[i] = Math.floor(random() * 2) // small, since indices into tables must exist
  }
  return { data, shape, datatype }
}
