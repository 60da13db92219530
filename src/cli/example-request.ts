import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Model, TensorSpec } from '../runtime/types.js'

const MOST_ELEMENTS = 256

/** A curl line that works as it stands: a digit of the checkout, or tensors of zeros for a model that is served. */
export function exampleRequest(address: string, models: readonly Model[]): string | undefined {
  const digits = models.find((model) => model.name === 'digits')
  const sample = sampleDigit()
  if (digits && sample) return `curl -s --data-binary @${shell(sample)} '${address}/v1/classify/${digits.name}?k=3'`
  const model = models.find((candidate) => candidate.inputs.every(canBeShown))
  if (!model) return undefined
  const inputs = model.inputs.filter((spec) => !spec.optional).map(zeros)
  return `curl -s -d ${shell(JSON.stringify({ inputs }))} ${address}/v2/models/${model.name}/infer`
}

function sampleDigit(): string | undefined {
  for (const up of ['../', '../../']) {
    const file = fileURLToPath(new URL(`${up}test/data/seven.png`, import.meta.url))
    if (existsSync(file)) return file
  }
  return undefined
}

function concrete(spec: TensorSpec): number[] {
  return spec.shape.map((d) => (d < 0 ? 1 : d))
}

function count(spec: TensorSpec): number {
  return concrete(spec).reduce((n, d) => n * d, 1)
}

function canBeShown(spec: TensorSpec): boolean {
  const { datatype, optional } = spec
  return optional === true || (datatype !== 'FP16' && datatype !== 'BF16' && count(spec) <= MOST_ELEMENTS)
}

function zeros(spec: TensorSpec): object {
  const zero = spec.datatype === 'BYTES' ? '' : spec.datatype === 'BOOL' ? false : 0
  return { name: spec.name, datatype: spec.datatype, shape: concrete(spec), data: new Array(count(spec)).fill(zero) }
}

function shell(text: string): string {
  return /^[\w./@-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`
}
