import { type ConfigDocument, documentError } from './config-document.js'
import type { ModelConfig } from './config-types.js'
import type { FieldPath } from './field-path.js'
import { isInnerPath } from './names.js'

/** Checks `model_warmup` as far as it can be without the model. */
export function validateWarmup(document: ConfigDocument, config: ModelConfig): void {
  const fail = (path: FieldPath, problem: string): never => {
    throw documentError(document, path, problem)
  }
  const known = new Set([
    ...config.input.map((io) => io.name),
    ...config.batch_input.flatMap((entry) => entry.target_name),
    ...(config.sequence_batching?.control_input ?? []).map((control) => control.name),
  ])
  config.model_warmup.forEach((sample, index) => {
    const path = ['model_warmup', index]
    const limit = Math.max(1, config.max_batch_size)
    if (sample.batch_size > limit) {
      const reason = config.max_batch_size > 0 ? `max_batch_size is ${limit}` : 'the model does not batch'
      fail([...path, 'batch_size'], `${sample.batch_size} is too large; ${reason}`)
    }
    for (const [name, input] of Object.entries(sample.inputs)) {
      const own = [...path, 'inputs', name]
      if (config.input.length > 0 && !known.has(name)) fail(own, `there is no input named "${name}"`)
      if (input.data_type === 'TYPE_INVALID') fail(own, 'must have a data_type, such as TYPE_FP32')
      input.dims.forEach((dim, at) => {
        if (dim < 1) fail([...own, 'dims', at], `warm-up data needs a fixed size, not ${dim}`)
      })
      const declared = config.input.find((io) => io.name === name)
      if (declared && declared.data_type !== 'TYPE_INVALID' && declared.data_type !== input.data_type) {
        fail([...own, 'data_type'], `is ${input.data_type}, but the input is ${declared.data_type}`)
      }
      if (input.zero_data === undefined && input.random_data === undefined && input.input_data_file === undefined) {
        fail(own, 'must have one of zero_data, random_data and input_data_file')
      }
      if (input.input_data_file !== undefined && !isInnerPath(input.input_data_file)) {
        fail([...own, 'input_data_file'], `"${input.input_data_file}" must be the name of a file inside warmup/`)
      }
    }
  })
}
