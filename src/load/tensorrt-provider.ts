import type { ModelConfig } from '../repository/config-types.js'
import type { TensorrtProvider } from '../runtime/types.js'
import { checkProviderOptions, providerError as wrong } from './provider-options.js'

const OPTIONS = new Set([
  'name',
  'deviceId',
  'workspaceMb',
  'fp16',
  'int8',
  'builderLevel',
  'engineCache',
  'timingCache',
  'profile',
  'pinnedMemory',
  'libraryPath',
  'providerOptions',
])
/** Names of the provider that options of ours set. */
const OURS = {
  device_id: 'deviceId',
  trt_max_workspace_size: 'workspaceMb',
  trt_fp16_enable: 'fp16',
  trt_int8_enable: 'int8',
  trt_builder_optimization_level: 'builderLevel',
  trt_engine_cache_enable: 'engineCache',
  trt_engine_cache_path: 'engineCache',
  trt_timing_cache_enable: 'timingCache',
  trt_timing_cache_path: 'timingCache',
  trt_profile_min_shapes: 'profile',
  trt_profile_opt_shapes: 'profile',
  trt_profile_max_shapes: 'profile',
}
const BOUNDS = ['min', 'opt', 'max'] as const

type Settings = readonly (readonly [name: string, value: string])[]

/** @throws SubtenError CONFIG_INVALID naming the option */
export function checkedTensorrt(provider: TensorrtProvider): TensorrtProvider {
  for (const name of Object.keys(provider)) {
    if (!OPTIONS.has(name)) throw wrong(`[0].${name}`, `is no option; they are ${[...OPTIONS].join(', ')}`)
  }
  const whole = (name: 'workspaceMb' | 'builderLevel', low: number, high: number): void => {
    const value: unknown = provider[name]
    if (value === undefined || (Number.isInteger(value) && (value as number) >= low && (value as number) <= high))
      return
    throw wrong(`[0].${name}`, `must be a whole number from ${low} to ${high}`, value)
  }
  whole('workspaceMb', 1, 1 << 20)
  whole('builderLevel', 0, 5)
  for (const name of ['fp16', 'int8'] as const) {
    const value: unknown = provider[name]
    if (value !== undefined && typeof value !== 'boolean') throw wrong(`[0].${name}`, 'must be true or false', value)
  }
  for (const name of ['engineCache', 'timingCache'] as const) {
    const value: unknown = provider[name]
    if (value !== undefined && !(typeof value === 'string' && value !== '' && !value.includes('\0')))
      throw wrong(`[0].${name}`, 'must be a folder', value)
  }
  checkProfile(provider.profile)
  checkProviderOptions(provider.providerOptions, OURS)
  return provider
}

function checkProfile(profile: unknown): void {
  if (profile === undefined) return
  const bounds = (typeof profile === 'object' && profile !== null ? profile : {}) as Record<string, unknown>
  const names = new Set<string>()
  for (const bound of BOUNDS) {
    const shapes = bounds[bound]
    const entries = typeof shapes === 'object' && shapes !== null ? Object.entries(shapes) : []
    const whole = (shape: unknown): boolean =>
      Array.isArray(shape) && shape.length > 0 && shape.every((dim) => Number.isInteger(dim) && dim >= 0)
    if (entries.length === 0 || !entries.every(([, shape]) => whole(shape)))
      throw wrong(`[0].profile.${bound}`, 'must be shapes by names of inputs, as { image: [8, 3, 224, 224] }', shapes)
    for (const [name] of entries) names.add(name)
    if (entries.length !== names.size) throw wrong('[0].profile', 'must name the same inputs in min, opt and max')
  }
}

/** In native terms. Without a profile that of the tensors in config.pbtxt, for batches of 1 to `max_batch_size`. */
export function tensorrtSettings(provider: TensorrtProvider, config: ModelConfig, cuda: boolean): Settings {
  const { workspaceMb, fp16, int8, builderLevel, engineCache, timingCache, providerOptions = {} } = provider
  const profile = provider.profile ?? profileOf(config)
  const values: Record<string, string | number | boolean | undefined> = {
    trt_max_workspace_size: workspaceMb === undefined ? undefined : workspaceMb * 1024 * 1024,
    trt_fp16_enable: fp16,
    trt_int8_enable: int8,
    trt_builder_optimization_level: builderLevel,
    trt_engine_cache_enable: engineCache === undefined ? undefined : true,
    trt_engine_cache_path: engineCache,
    trt_timing_cache_enable: timingCache === undefined ? undefined : true,
    trt_timing_cache_path: timingCache,
    ...Object.fromEntries(
      BOUNDS.map((bound) => [`trt_profile_${bound}_shapes`, profile && shapesText(profile[bound])]),
    ),
    ...providerOptions,
  }
  const given = Object.entries(values).flatMap(([key, value]) =>
    value === undefined
      ? []
      : [[`tensorrt.${key}`, typeof value === 'boolean' ? (value ? '1' : '0') : String(value)] as const],
  )
  return [['tensorrt_cuda', cuda ? '1' : '0'], ...given]
}

type Shapes = Readonly<Record<string, readonly number[]>>

/** `image:1x3x224x224,mask:1x10` */
const shapesText = (shapes: Shapes): string =>
  Object.entries(shapes)
    .map(([name, shape]) => `${name}:${shape.join('x')}`)
    .join(',')

/** The engine is built for this once; without, anew for each batch size that comes. */
function profileOf({ max_batch_size: most, input }: ModelConfig): TensorrtProvider['profile'] {
  const known = most > 0 && input.length > 0 && input.every(({ dims }) => dims.every((dim) => dim >= 0))
  if (!known) return undefined
  const shapes = (rows: number): Shapes =>
    Object.fromEntries(input.map(({ name, dims, reshape }) => [name, [rows, ...(reshape?.shape ?? dims)]]))
  return { min: shapes(1), opt: shapes(most), max: shapes(most) }
}

/**
 * Parameters of Triton's `gpu_execution_accelerator { name: "tensorrt" }` as options: `precision_mode`,
 * `max_workspace_size_bytes`, and the provider's own names.
 */
export function acceleratorOptions(parameters: Readonly<Record<string, string>>): TensorrtProvider {
  const { precision_mode: precision, max_workspace_size_bytes: bytes, ...others } = parameters
  return {
    name: 'tensorrt',
    ...(precision === 'FP16' && { fp16: true }),
    ...(precision === 'INT8' && { int8: true }),
    ...(bytes !== undefined && { workspaceMb: Math.max(1, Math.floor(Number(bytes) / 1024 / 1024)) }),
    providerOptions: Object.fromEntries(
      Object.entries(others).map(([key, value]) => [key.startsWith('trt_') ? key : `trt_${key}`, value]),
    ),
  }
}
