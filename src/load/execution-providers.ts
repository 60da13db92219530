import type { ModelConfig } from '../repository/config-types.js'
import { SubtenError } from '../runtime/errors.js'
import type {
  CudaProvider,
  ExecutionProvider,
  LoadOptions,
  OpenvinoProvider,
  TensorrtProvider,
} from '../runtime/types.js'
import { installedCuda } from './gpu-files.js'
import { openvinoPlan } from './openvino-provider.js'
import { checkProviderOptions, type DevicePlan, providerError as wrong } from './provider-options.js'
import { acceleratorOptions, checkedTensorrt, tensorrtSettings } from './tensorrt-provider.js'

const CUDA_OPTIONS = new Set([
  'name',
  'deviceId',
  'memoryLimitMb',
  'convolutionSearch',
  'tf32',
  'preferNhwc',
  'pinnedMemory',
  'graphs',
  'libraryPath',
  'providerOptions',
])
const SEARCHES = { exhaustive: 'EXHAUSTIVE', heuristic: 'HEURISTIC', default: 'DEFAULT' } as const
/** Providers of ONNX Runtime that users may know, and this version does not have. */
const NOT_BUILT = new Set(['nv-tensorrt-rtx', 'rocm', 'directml', 'coreml', 'webgpu'])
const NAMES = new Set(['tensorrt', 'cuda', 'openvino', 'cpu'])

/**
 * What `executionProviders` and `instance_group` say of the device; undefined: the CPU.
 *
 * The option wins over the configuration. In the option, operators that the provider does not have are an error unless
 * `'cpu'` is listed too; `KIND_GPU`, a `cpu_execution_accelerator` named `openvino` and a `gpu_execution_accelerator` named
 * `tensorrt` mean what they mean in Triton, where such operators run on the CPU.
 *
 * @throws SubtenError CONFIG_INVALID naming the field, NOT_SUPPORTED for providers and groups that are not built
 */
export function devicePlan(options: LoadOptions, config: ModelConfig, engine: string): DevicePlan | undefined {
  const given = options.executionProviders
  if (given === undefined)
    return engine === 'onnxruntime'
      ? (withInstalled(groupPlan(config), options.engineLibrary) ?? acceleratorPlan(config, options.engineLibrary))
      : undefined
  if (engine !== 'onnxruntime') throw wrong('', `is for the engine onnxruntime, and this model's is ${engine}`)
  const providers = checkedProviders(given)
  const at = providers.findIndex(({ name }) => name !== 'cpu')
  if (at < 0) return undefined
  const named = providers.map(({ name }) => name)
  const first = named[at]
  if (at > 0) throw wrong(`[${at}]`, `'${first}' must come first: operators go to the first provider that has them`)
  if (named.includes('openvino') && named.some((name) => name === 'cuda' || name === 'tensorrt'))
    throw wrong('', "takes 'openvino' or those of NVIDIA: each comes with an ONNX Runtime of its own")
  if (named.includes('tensorrt') && first !== 'tensorrt')
    throw wrong('', "'tensorrt' must come before 'cuda': operators go to the first provider that has them")
  const only = !named.includes('cpu')
  if (first === 'openvino')
    return openvinoPlan(providers[0] as OpenvinoProvider, only, instancesOf(config), options.engineLibrary)
  const plan =
    first === 'tensorrt'
      ? tensorrtPlan(providers as readonly Named[], only, config)
      : cudaPlan(checkedCuda(providers[0] as CudaProvider), only, instancesOf(config))
  return withInstalled(plan, options.engineLibrary)
}

type Named = { readonly name: string } & (CudaProvider | TensorrtProvider)

/** TensorRT, and CUDA for what it lacks where that is listed. Runs are not recorded: TensorRT has launches of its own. */
function tensorrtPlan(providers: readonly Named[], only: boolean, config: ModelConfig): DevicePlan {
  const tensorrt = checkedTensorrt(providers[0] as TensorrtProvider)
  const listed = providers.find(({ name }) => name === 'cuda') as CudaProvider | undefined
  const { deviceId = 0, pinnedMemory, libraryPath } = tensorrt
  if ((listed?.deviceId ?? deviceId) !== deviceId)
    throw wrong('[1].deviceId', `must be that of 'tensorrt', ${deviceId}`)
  const cuda = checkedCuda({
    ...listed,
    name: 'cuda',
    deviceId,
    graphs: false,
    ...(pinnedMemory !== undefined && { pinnedMemory }),
    ...(libraryPath !== undefined && { libraryPath }),
  })
  const plan = cudaPlan(cuda, only, 0)
  return { ...plan, settings: [...plan.settings, ...tensorrtSettings(tensorrt, config, listed !== undefined)] }
}

/** What `subten gpu install` has fetched, where nobody named a library. */
function withInstalled(plan: DevicePlan | undefined, engineLibrary: string | undefined): DevicePlan | undefined {
  if (plan === undefined || engineLibrary !== undefined || process.env.SUBTEN_ONNXRUNTIME_LIB) return plan
  const cuda = installedCuda()
  if (cuda === undefined) return plan
  const named = plan.settings.some(([key]) => key === 'cuda_library_path') || process.env.SUBTEN_CUDA_LIBRARY_PATH
  // A suggestion: a process that has an ONNX Runtime keeps it.
  const settings = [...plan.settings, ['cuda_library', cuda.library] as const]
  return { ...plan, settings: named ? settings : [...settings, ['cuda_library_path', cuda.libraryPath] as const] }
}

function checkedProviders(given: unknown): readonly { readonly name: string }[] {
  if (!Array.isArray(given) || given.length === 0)
    throw wrong('', "must be a list like [{ name: 'cuda' }, 'cpu']", given)
  const names = new Set<string>()
  return given.map((each: unknown, index) => {
    const provider = (typeof each === 'string' ? { name: each } : each) as ExecutionProvider & { name: string }
    const name: unknown = provider?.name
    if (typeof name === 'string' && NOT_BUILT.has(name)) {
      throw new SubtenError('NOT_SUPPORTED', `options: executionProviders[${index}]: '${name}' is not built yet`, {
        remedy: "The providers of this version are 'cuda', 'tensorrt', 'openvino' and 'cpu'.",
        details: { field: `executionProviders[${index}]` },
      })
    }
    if (typeof name !== 'string' || !NAMES.has(name))
      throw wrong(`[${index}].name`, "must be 'cuda', 'tensorrt', 'openvino' or 'cpu'", name)
    if (names.has(name)) throw wrong(`[${index}]`, `'${name}' is listed twice`)
    names.add(name)
    return provider
  })
}

function checkedCuda(provider: CudaProvider): CudaProvider {
  for (const name of Object.keys(provider)) {
    if (!CUDA_OPTIONS.has(name)) throw wrong(`[0].${name}`, `is no option; they are ${[...CUDA_OPTIONS].join(', ')}`)
  }
  const { deviceId = 0, memoryLimitMb, convolutionSearch, libraryPath = [] } = provider
  if (!(Number.isInteger(deviceId) && deviceId >= 0 && deviceId < 1024)) {
    throw wrong('[0].deviceId', 'must be a whole number from 0', deviceId)
  }
  if (
    memoryLimitMb !== undefined &&
    !(typeof memoryLimitMb === 'number' && memoryLimitMb >= 1 && memoryLimitMb <= 1 << 30)
  ) {
    throw wrong('[0].memoryLimitMb', 'must be a number of MiB from 1', memoryLimitMb)
  }
  if (convolutionSearch !== undefined && !Object.hasOwn(SEARCHES, convolutionSearch)) {
    throw wrong('[0].convolutionSearch', "must be 'exhaustive', 'heuristic' or 'default'", convolutionSearch)
  }
  for (const name of ['tf32', 'preferNhwc', 'pinnedMemory', 'graphs'] as const) {
    const value: unknown = provider[name]
    if (value !== undefined && typeof value !== 'boolean') throw wrong(`[0].${name}`, 'must be true or false', value)
  }
  const folders: readonly unknown[] = Array.isArray(libraryPath) ? libraryPath : [libraryPath]
  if (!folders.every((folder) => typeof folder === 'string' && folder !== '' && !folder.includes('\0'))) {
    throw wrong('[0].libraryPath', 'must be a folder or a list of folders', libraryPath)
  }
  checkProviderOptions(provider.providerOptions, { device_id: 'deviceId' })
  return provider
}

function cudaPlan(provider: CudaProvider, only: boolean, instances: number): DevicePlan {
  const { deviceId = 0, memoryLimitMb, convolutionSearch, tf32, preferNhwc, pinnedMemory, libraryPath } = provider
  const text = (value: string | number | boolean): string =>
    typeof value === 'boolean' ? (value ? '1' : '0') : String(value)
  const settings: [string, string | number | boolean | undefined][] = [
    ['cuda_only', only],
    ['cuda_pinned', pinnedMemory],
    ['cuda_graph_lanes', provider.graphs === false ? 0 : instances],
    ['cuda_library_path', typeof libraryPath === 'string' ? libraryPath : libraryPath?.join(':')],
    ['cuda.gpu_mem_limit', memoryLimitMb === undefined ? undefined : Math.floor(memoryLimitMb * 1024 * 1024)],
    ['cuda.cudnn_conv_algo_search', convolutionSearch && SEARCHES[convolutionSearch]],
    ['cuda.use_tf32', tf32],
    ['cuda.prefer_nhwc', preferNhwc],
    ...Object.entries(provider.providerOptions ?? {}).map(([key, value]) => [`cuda.${key}`, value] as [string, string]),
  ]
  return {
    cudaDevice: deviceId,
    settings: settings.flatMap(([key, value]) => (value === undefined ? [] : [[key, text(value)] as const])),
  }
}

/** `instance_group` of `KIND_GPU`: on the one device that it names, device 0 where it names none. */
function groupPlan(config: ModelConfig): DevicePlan | undefined {
  const groups = config.instance_group
  if (!groups.some(({ kind }) => kind === 'KIND_GPU')) return undefined
  const refuse = (why: string): SubtenError =>
    new SubtenError('NOT_SUPPORTED', `model '${config.name}': instance_group: ${why}`, {
      remedy: 'Use one group of kind KIND_GPU with one GPU, and load the model once for each further device.',
      details: { field: 'instance_group' },
    })
  if (!groups.every(({ kind }) => kind === 'KIND_GPU'))
    throw refuse('groups of KIND_GPU beside others are not built yet')
  const devices = new Set(groups.flatMap(({ gpus }) => (gpus.length === 0 ? [0] : gpus)))
  if (devices.size > 1) throw refuse(`several devices (${[...devices].join(', ')}) for one model are not built yet`)
  const cudaDevice = [...devices][0] ?? 0
  const accelerators = config.optimization?.execution_accelerators?.gpu_execution_accelerator ?? []
  const tensorrt = accelerators.find(({ name }) => name === 'tensorrt')
  if (tensorrt !== undefined) {
    const provider = { ...acceleratorOptions(tensorrt.parameters ?? {}), deviceId: cudaDevice }
    return tensorrtPlan([provider, { name: 'cuda', deviceId: cudaDevice }], false, config)
  }
  return {
    cudaDevice,
    settings: [
      ['cuda_only', '0'],
      ['cuda_graph_lanes', String(instancesOf(config))],
    ],
  }
}

/** `optimization { execution_accelerators { cpu_execution_accelerator { name: "openvino" } } }`, with our options. */
function acceleratorPlan(config: ModelConfig, engineLibrary: string | undefined): DevicePlan | undefined {
  const named = config.optimization?.execution_accelerators?.cpu_execution_accelerator ?? []
  const openvino = named.find(({ name }) => name === 'openvino')
  if (openvino === undefined) return undefined
  const numbers = new Set(['threads', 'streams'])
  const given = Object.entries(openvino.parameters ?? {})
  const options = Object.fromEntries(given.map(([key, value]) => [key, numbers.has(key) ? Number(value) : value]))
  return openvinoPlan({ ...options, name: 'openvino' }, false, instancesOf(config), engineLibrary)
}

/** As the core will have them: one where the configuration has no group. */
const instancesOf = ({ instance_group }: ModelConfig): number =>
  Math.max(
    1,
    instance_group.reduce((sum, { count }) => sum + count, 0),
  )
