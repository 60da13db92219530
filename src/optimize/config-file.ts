import type { ConfigDocument } from '../repository/config-document.js'
import { formatConfig } from '../repository/config-text.js'
import { applyOverrides, type ConfigOverrides } from '../repository/overrides.js'
import { candidateText, type GivenSettings, settingsOf } from './candidate.js'
import type { Candidate } from './types.js'

/** Backends and platforms of ONNX models, and what has them run by Triton: our backend there (docs/triton-backend.md). */
const ONNX = /^onnxruntime(_onnx)?$/
const ON_TRITON = 'subten_onnxruntime'

/** The engine of a model is told by its backend: another one where an ONNX model was measured on Triton. */
function backendOf({ fields }: ConfigDocument, engine: string): ConfigOverrides {
  const named = fields.backend || fields.platform || 'onnxruntime'
  return engine === 'triton' && ONNX.test(named) ? { backend: ON_TRITON, platform: null } : {}
}

/** What a candidate keeps of the configuration that its model has. */
export function givenSettings(document: ConfigDocument): GivenSettings {
  const { instance_group: groups, dynamic_batching: batching } = document.fields
  const [first] = groups ?? []
  return {
    preferredBatchSizes: batching?.preferred_batch_size ?? [],
    ...(first === undefined ? {} : { group: first as Readonly<Record<string, unknown>> }),
  }
}

/**
 * The configuration of a model with a candidate's settings in it: a config.pbtxt that is read as it is. Every other
 * setting is kept; comments are not, since the text is made anew.
 *
 * @param says lines of a comment at its head
 */
export function configFileOf(
  document: ConfigDocument,
  one: Candidate,
  limitUs: number,
  says: readonly string[],
): string {
  const { parameters, ...fields } = settingsOf(one, limitUs, givenSettings(document))
  const overrides = {
    ...fields,
    ...backendOf(document, one.engine),
    parameters: Object.fromEntries(
      Object.entries(parameters).map(([name, value]) => [name, value === null ? null : { string_value: value }]),
    ),
  } as ConfigOverrides
  const written = applyOverrides(document, overrides).fields
  const head = [`${candidateText(one)}.`, ...says].map((line) => `# ${line.replaceAll(/[\r\n]+/g, ' ')}`)
  return `${head.join('\n')}\n${formatConfig(written)}`
}
