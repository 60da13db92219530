import type { ConfigFields } from './config-document.js'

/** How the engine of a model is told from its configuration and its file. */
export interface EngineChoice {
  /** Name of the engine: onnxruntime, tensorrt, null, triton. */
  readonly engine: string
  /** As config.pbtxt spells it; '' when nothing says it. */
  readonly backend: string
  readonly platform: string
  /** The file in the version directory; '' for engines that read none, or that choose it themselves. */
  readonly filename: string
}

/** Names of engines, as the option `engine` and the parameter `subten.engine` have them. */
export const ENGINES = ['onnxruntime', 'tensorrt', 'null', 'triton'] as const

/** Backends with an engine of their own; every other one goes to Triton. */
const BACKENDS: Readonly<Record<string, { engine: string; platform: string; filename: string }>> = {
  onnxruntime: { engine: 'onnxruntime', platform: 'onnxruntime_onnx', filename: 'model.onnx' },
  tensorrt: { engine: 'tensorrt', platform: 'tensorrt_plan', filename: 'model.plan' },
  subten_null: { engine: 'null', platform: '', filename: '' },
}

const PLATFORM_BACKENDS: Readonly<Record<string, string>> = {
  onnxruntime_onnx: 'onnxruntime',
  tensorrt_plan: 'tensorrt',
  pytorch_libtorch: 'pytorch',
  torch_aoti: 'pytorch',
  tensorflow_graphdef: 'tensorflow',
  tensorflow_savedmodel: 'tensorflow',
}

/** What Triton takes from the name of the file, where neither backend nor platform is given. */
const FILE_BACKENDS: Readonly<Record<string, string>> = {
  'model.plan': 'tensorrt',
  'model.onnx': 'onnxruntime',
  'model.xml': 'openvino',
  'model.pt': 'pytorch',
  'model.py': 'python',
}

/** Extensions of single files that can be loaded without a directory around them. */
const EXTENSION_BACKENDS: Readonly<Record<string, string>> = {
  '.onnx': 'onnxruntime',
  '.plan': 'tensorrt',
}

/** The backend of a lone model file, by its extension; undefined for a file that cannot be loaded alone. */
export function backendOfExtension(extension: string): string | undefined {
  return Object.hasOwn(EXTENSION_BACKENDS, extension) ? EXTENSION_BACKENDS[extension] : undefined
}

/** The backend that a platform belongs to; undefined for a platform of some other backend. */
export function backendOfPlatform(platform: string): string | undefined {
  return Object.hasOwn(PLATFORM_BACKENDS, platform) ? PLATFORM_BACKENDS[platform] : undefined
}

/** Extensions that {@link backendOfExtension} knows. */
export function loneFileExtensions(): string[] {
  return Object.keys(EXTENSION_BACKENDS)
}

/**
 * Chooses the engine: by `backend`, else `platform`, else `default_model_filename`, else the files of a version. The
 * parameter `subten.engine` has the last word.
 * @returns undefined when nothing tells
 */
export function chooseEngine(fields: ConfigFields, files: readonly string[]): EngineChoice | undefined {
  let backend = fields.backend ?? ''
  const platform = fields.platform || (fields.ensemble_scheduling ? 'ensemble' : '')
  if (backend === 'onnxruntime_onnx') backend = 'onnxruntime'
  if (backend === '') backend = lookUp(PLATFORM_BACKENDS, platform)
  if (backend === '' && platform === '') {
    const names = fields.default_model_filename ? [fields.default_model_filename] : files
    const known = Object.keys(FILE_BACKENDS).find((name) => names.includes(name))
    const lone = names.length === 1 ? /\.[^.]+$/.exec(names[0] ?? '')?.[0] : undefined
    backend = known ? lookUp(FILE_BACKENDS, known) : (backendOfExtension(lone ?? '') ?? '')
  }
  if (backend === '' && platform === '') return undefined
  const own = Object.hasOwn(BACKENDS, backend) ? BACKENDS[backend] : undefined
  return {
    engine: writtenEngine(fields) ?? own?.engine ?? 'triton',
    backend,
    platform: platform || (own?.platform ?? ''),
    filename: fields.default_model_filename || (own?.filename ?? ''),
  }
}

/** What `subten.engine` says; a wrong value is an error when the model is loaded. */
function writtenEngine(fields: ConfigFields): string | undefined {
  const text = fields.parameters?.['subten.engine']?.string_value
  return ENGINES.find((engine) => text === JSON.stringify(engine))
}

function lookUp(table: Readonly<Record<string, string>>, key: string): string {
  return Object.hasOwn(table, key) ? (table[key] ?? '') : ''
}
