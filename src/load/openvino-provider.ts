import { resolve } from 'node:path'
import { SubtenError } from '../runtime/errors.js'
import type { OpenvinoProvider } from '../runtime/types.js'
import { installedOpenvino, libraryAt } from './openvino-files.js'
import { checkProviderOptions, type DevicePlan, providerError as wrong } from './provider-options.js'

const OPTIONS = [
  'name',
  'device',
  'precision',
  'threads',
  'streams',
  'cacheDirectory',
  'libraryPath',
  'providerOptions',
] as const
/** Our names, those of the provider, and what OpenVINO itself is told where the provider has no word for it. */
const PRECISIONS: { readonly [name: string]: { readonly provider?: string; readonly hint?: string } } = {
  fp32: { provider: 'FP32' },
  accuracy: { provider: 'ACCURACY' },
  bf16: { hint: 'bf16' },
  fp16: { hint: 'f16' },
}
const DEVICE = /^(CPU|GPU(\.\d+)?|NPU|(AUTO|HETERO|MULTI)(:[\w.,]+)?)$/
const SET_BY = {
  device_type: 'device',
  precision: 'precision',
  num_of_threads: 'threads',
  num_streams: 'streams',
  cache_dir: 'cacheDirectory',
}

/** The settings of a model that OpenVINO computes. `only`: operators that it lacks are an error. */
export function openvinoPlan(
  provider: OpenvinoProvider,
  only: boolean,
  instances: number,
  engineLibrary: string | undefined,
): DevicePlan {
  const { device = 'CPU', precision = 'fp32', threads, streams = instances, cacheDirectory } = checked(provider)
  const libraryPath = explicitLibrary(provider, engineLibrary)
  // What the process was told to use, or found, is looked at where the library is loaded.
  const found = libraryPath === undefined && !process.env.SUBTEN_ONNXRUNTIME_LIB ? installedOpenvino() : undefined
  const { provider: word, hint } = PRECISIONS[precision] ?? {}
  const settings: [string, string | number | boolean | undefined][] = [
    ['openvino_only', only ? '1' : '0'],
    ['openvino_library', found],
    ['openvino_precision', precision],
    ['openvino_threads', threads],
    ['openvino.device_type', device],
    ['openvino.precision', word],
    ['openvino.num_streams', streams],
    ['openvino.cache_dir', cacheDirectory && resolve(cacheDirectory)],
    ['openvino.load_config', provider.providerOptions?.load_config === undefined ? runtimeConfig(device, hint) : ''],
    ...Object.entries(provider.providerOptions ?? {}).map(
      ([key, value]) => [`openvino.${key}`, value] as [string, string | number | boolean],
    ),
  ]
  return {
    ...(libraryPath !== undefined && { libraryPath }),
    settings: settings.flatMap(([key, value]) => (value === undefined || value === '' ? [] : [[key, text(value)]])),
  }
}

/** Threads are not bound to processors: they share them with those of Node and of other models. */
function runtimeConfig(device: string, hint: string | undefined): string {
  if (device !== 'CPU') return ''
  return JSON.stringify({ CPU: { ENABLE_CPU_PINNING: 'NO', ...(hint && { INFERENCE_PRECISION_HINT: hint }) } })
}

/** The provider's switches are True and False. */
const text = (value: string | number | boolean): string =>
  typeof value === 'boolean' ? (value ? 'True' : 'False') : String(value)

function checked(provider: OpenvinoProvider): OpenvinoProvider {
  for (const name of Object.keys(provider)) {
    if (!(OPTIONS as readonly string[]).includes(name))
      throw wrong(`[0].${name}`, `is no option; they are ${OPTIONS.join(', ')}`)
  }
  const { device = 'CPU', precision = 'fp32', providerOptions } = provider
  if (typeof device !== 'string' || !DEVICE.test(device))
    throw wrong('[0].device', "must be a device of OpenVINO's, like 'CPU'", device)
  if (typeof precision !== 'string' || !Object.hasOwn(PRECISIONS, precision))
    throw wrong('[0].precision', `must be one of ${Object.keys(PRECISIONS).join(', ')}`, precision)
  for (const name of ['threads', 'streams'] as const) {
    const value: unknown = provider[name]
    if (value !== undefined && !(Number.isInteger(value) && Number(value) >= 1 && Number(value) <= 1024))
      throw wrong(`[0].${name}`, 'must be a whole number from 1 to 1024', value)
  }
  for (const name of ['cacheDirectory', 'libraryPath'] as const) {
    const value: unknown = provider[name]
    if (value !== undefined && !(typeof value === 'string' && value !== '' && !value.includes('\0')))
      throw wrong(`[0].${name}`, 'must be a path', value)
  }
  checkProviderOptions(providerOptions, SET_BY)
  const hint = PRECISIONS[precision]?.hint
  if (providerOptions?.load_config !== undefined && hint !== undefined) {
    const entry = `"INFERENCE_PRECISION_HINT": "${hint}"`
    throw wrong('[0].providerOptions.load_config', `takes the place of precision: give it ${entry} instead`)
  }
  if (hint !== undefined && device !== 'CPU') throw wrong('[0].precision', `'${precision}' is for the device 'CPU'`)
  return provider
}

function explicitLibrary({ libraryPath }: OpenvinoProvider, engineLibrary: string | undefined): string | undefined {
  if (libraryPath === undefined) return engineLibrary
  if (engineLibrary !== undefined) throw wrong('[0].libraryPath', 'and engineLibrary name the same thing: give one')
  const library = libraryAt(libraryPath)
  if (library !== undefined) return library
  throw new SubtenError('ENGINE_NOT_FOUND', `there is no ONNX Runtime library at ${resolve(libraryPath)}`, {
    remedy:
      'libraryPath names libonnxruntime.so of onnxruntime-openvino, or its folder; or run `npx subten providers install openvino` and leave it out.',
    details: { field: 'executionProviders[0].libraryPath' },
  })
}
