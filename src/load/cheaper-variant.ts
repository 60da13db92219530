import { dirname, isAbsolute, join } from 'node:path'
import { type ConfigDocument, documentError } from '../repository/config-document.js'
import type { LocatedModel } from '../repository/repository.js'
import { subtenPath } from '../repository/subten-parameters.js'
import type { NativeModel } from '../runtime/model.js'
import type { LoadOptions, TensorSpec } from '../runtime/types.js'
import type { Slo } from './slo.js'

/** The parameter `subten.cheaper_variant` of a model with a promise. */
export interface WantedVariant {
  /** Of a model beside this one, or a path from there. */
  readonly name: string
  readonly document: ConfigDocument
  readonly slo: Slo | undefined
}

/**
 * Loads the cheaper variant of a model, with the same options and the same promise.
 *
 * @throws SubtenError CONFIG_INVALID where its tensors are not those of the model, and what `load` throws for it
 */
export async function addVariant(
  model: NativeModel,
  { name, document, slo }: WantedVariant,
  located: LocatedModel,
  options: LoadOptions,
  load: (path: string, options: LoadOptions) => Promise<NativeModel>,
): Promise<void> {
  // The version and the name are this model's own.
  const { version: _version, name: _name, ...same } = options
  const own = located.directory ?? located.file ?? ''
  const path = isAbsolute(name) ? name : join(dirname(own), name)
  if (path === own) throw documentError(document, subtenPath('cheaper_variant'), 'names the model itself')
  const variant = await load(path, { ...same, slo: slo ?? false })
  const problem = difference(model, variant)
  if (problem === undefined) {
    model.useVariant(variant)
    return
  }
  await variant.close()
  throw documentError(
    document,
    subtenPath('cheaper_variant'),
    `the variant '${variant.name}' cannot answer for '${model.name}': ${problem}`,
    'A variant has the same tensors: names, datatypes and shapes.',
  )
}

/** What a client would notice; undefined where the two have the same tensors. */
function difference(model: NativeModel, variant: NativeModel): string | undefined {
  if (variant.decoupled) return 'it is decoupled'
  return tensors('input', model.inputs, variant.inputs) ?? tensors('output', model.outputs, variant.outputs)
}

function tensors(kind: string, ours: readonly TensorSpec[], theirs: readonly TensorSpec[]): string | undefined {
  for (const { name, datatype, shape } of ours) {
    const other = theirs.find((each) => each.name === name)
    if (other === undefined) return `it has no ${kind} "${name}"`
    if (other.datatype !== datatype) return `its ${kind} "${name}" is ${other.datatype}, not ${datatype}`
    if (other.shape.length !== shape.length || other.shape.some((dim, i) => dim !== shape[i])) {
      return `its ${kind} "${name}" has the shape [${other.shape}], not [${shape}]`
    }
  }
  const more = theirs.find(({ name }) => !ours.some((each) => each.name === name))
  return more === undefined ? undefined : `it has one ${kind} more, "${more.name}"`
}
