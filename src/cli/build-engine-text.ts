import type { PlanReport } from '../load/build-plan.js'
import { table } from './report.js'

/** What was built: a plan, and where a model directory was made around it, that too. */
export interface Built extends PlanReport {
  readonly plan: string
  readonly model?: string
}

/** What was built, for a terminal. */
export function builtText(made: Built): string {
  const { plan, model, version, bytes, milliseconds, sha256, layers, quantize, dequantize, profiles, warnings } = made
  const computed = Object.entries(layers).map(([precision, count]) => `${count} ${precision}`)
  const rows = [
    ...made.inputs.map(({ name, datatype, shape }) => ['input', name, datatype, `[${shape.join(', ')}]`]),
    ...made.outputs.map(({ name, datatype, shape }) => ['output', name, datatype, `[${shape.join(', ')}]`]),
  ]
  const shown = profiles.map((profile, i) => {
    const inputs = Object.entries(profile).map(
      ([name, shapes]) => `${name} ${shapes.map((shape) => `[${shape.join(', ')}]`).join(' ')}`,
    )
    return `  ${i}: ${inputs.join('; ')}`
  })
  return [
    `${plan}: ${(bytes / 1e6).toFixed(2)} MB in ${(milliseconds / 1000).toFixed(1)} s by TensorRT ${version}`,
    `sha256 ${sha256}${model === undefined ? '' : ', which the config.pbtxt of the model pins'}`,
    table(['', 'name', 'datatype', 'shape'], rows),
    `layers as they were read: ${computed.join(', ') || 'none'}; ${quantize} Q, ${dequantize} DQ`,
    ...(shown.length > 0 ? [`profiles (min, opt, max)\n${shown.join('\n')}`] : []),
    ...warnings.map((line) => `warning: ${line}`),
  ].join('\n')
}
