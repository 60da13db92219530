import type { ModelConfig, ModelWarmup } from '../repository/config-types.js'
import { toKserveDatatype } from '../repository/datatypes.js'
import { type LocatedModel, warmupFile } from '../repository/repository.js'
import { wholeFile } from '../repository/whole-file.js'
import { STORAGE } from '../runtime/datatype.js'
import { SubtenError } from '../runtime/errors.js'
import { product } from '../runtime/inputs.js'
import type { NativeModel } from '../runtime/model.js'
import type { TensorInput } from '../runtime/types.js'

/**
 * Runs the `model_warmup` samples of a configuration, so that the first request of a user does not pay for building.
 * Each sample runs `count` times on as many requests at once as there are instances; figures start anew afterwards.
 */
export async function warmUp(model: NativeModel, config: ModelConfig, located: LocatedModel): Promise<void> {
  const samples = config.model_warmup ?? []
  if (samples.length === 0) return
  const instances = config.instance_group.reduce((sum, group) => sum + group.count, 0)
  for (const sample of samples) {
    const inputs = await sampleInputs(sample, config, located)
    for (let i = 0; i < Math.max(1, sample.count ?? 1); i++) {
      await Promise.all(Array.from({ length: instances }, () => model.infer(inputs)))
    }
  }
  model.resetStats()
}

async function sampleInputs(
  sample: ModelWarmup,
  config: ModelConfig,
  located: LocatedModel,
): Promise<Record<string, TensorInput>> {
  const inputs: Record<string, TensorInput> = {}
  for (const [name, input] of Object.entries(sample.inputs ?? {})) {
    const datatype = toKserveDatatype(input.data_type) ?? 'FP32'
    const batch = config.max_batch_size > 0 ? [Math.max(1, sample.batch_size ?? 1)] : []
    const shape = [...batch, ...input.dims]
    inputs[name] = { shape, datatype, data: await sampleData(name, input, product(shape), datatype, located) }
  }
  return inputs
}

type WarmupInput = NonNullable<ModelWarmup['inputs']>[string]

async function sampleData(
  name: string,
  input: WarmupInput,
  length: number,
  datatype: keyof typeof STORAGE,
  located: LocatedModel,
): Promise<TensorInput['data']> {
  const { array, bytes } = STORAGE[datatype]
  if (datatype === 'BYTES') return Array.from({ length }, () => '')
  if (input.input_data_file) {
    const file = await warmupFile(located.directory ?? '', input.input_data_file, {})
    const raw = wholeFile(file)
    if (raw.byteLength !== length * bytes) {
      throw new SubtenError(
        'CONFIG_INVALID',
        `model_warmup: "${input.input_data_file}" has ${raw.byteLength} bytes, input '${name}' needs ${length * bytes}`,
      )
    }
    return new array(new Uint8Array(raw).buffer, 0, length)
  }
  const data = new array(length)
  // Zeros unless random_data is asked for; small non-negative numbers are legal in every datatype.
  if (input.random_data)
    for (let i = 0; i < length; i++)
      (data as Float32Array)[i] = (typeof data[0] === 'bigint' ? BigInt(i % 2) : Math.random()) as number
  return data
}
