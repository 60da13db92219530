import '../runtime/dispose.js'
import { checkAgainst } from '../repository/check-against.js'
import { completeConfig, type ModelSpec } from '../repository/complete-config.js'
import type { ConfigDocument } from '../repository/config-document.js'
import type { ModelConfig } from '../repository/config-types.js'
import { toKserveDatatype } from '../repository/datatypes.js'
import { readLabels } from '../repository/labels.js'
import { resolveConfig } from '../repository/model-config.js'
import { type ConfigOverrides, isConfigField } from '../repository/overrides.js'
import { type LocatedModel, locate } from '../repository/repository.js'
import { engineParameters, subtenSettings } from '../repository/subten-parameters.js'
import { unsupportedSettings } from '../repository/unsupported.js'
import { addon, type NativeModelHandle, type NativeTensor, succeeded } from '../runtime/binding.js'
import { DATATYPES, type Datatype } from '../runtime/datatype.js'
import { engineCall } from '../runtime/engine-call.js'
import { publishEngineLog } from '../runtime/engine-log.js'
import { SubtenError } from '../runtime/errors.js'
import { type ModelInfo, NativeModel } from '../runtime/model.js'
import type { ModelAt } from '../runtime/models.js'
import { inRootContext } from '../runtime/root-context.js'
import type { LoadOptions, TensorSpec } from '../runtime/types.js'
import { addVariant, type WantedVariant } from './cheaper-variant.js'
import { checkOptions, coreOptions } from './core-options.js'
import { devicePlan } from './execution-providers.js'
import { keepLatencies, latencyFile } from './keep-latencies.js'
import { learnLatencies } from './learn-latencies.js'
import { refuseUnschedulable, sloOf } from './slo.js'
import { tensorrtInstances, tensorrtPlan } from './tensorrt.js'
import {
  clientView,
  type ModelFiles,
  type TritonModelFacts,
  type TritonPlan,
  tritonFacts,
  tritonPlan,
} from './triton.js'
import { checkTritonOptions } from './triton-options.js'
import { warmUp } from './warm-up.js'

/** Options of `load` that are not settings of config.pbtxt. */
const OWN_OPTIONS = new Set([
  'engine',
  'engineLibrary',
  'executionProviders',
  'version',
  'wake',
  'slo',
  'latencyCache',
  'sla',
  'slaState',
  'memoryMb',
  'slowMs',
  'maxQueueSize',
  'whenFull',
  'debug',
  'parameters',
  'triton',
])

/**
 * Loads a model: a directory in Triton's layout (`config.pbtxt` optional) or one `.onnx` or `.plan` file.
 *
 * @throws SubtenError MODEL_NOT_FOUND, MODEL_INVALID, CONFIG_INVALID (with file, line and field), ENGINE_NOT_FOUND,
 *   ENGINE_VERSION, NOT_SUPPORTED, OUT_OF_MEMORY, UNSUPPORTED_PLATFORM
 */
export async function load<P extends string>(path: P, options: LoadOptions = {}): Promise<ModelAt<P>> {
  if (typeof path !== 'string') throw new SubtenError('INVALID_INPUT', `load needs a path, not a ${typeof path}`)
  if (typeof options !== 'object' || options === null) {
    throw new SubtenError('CONFIG_INVALID', 'the options of load must be an object')
  }
  return (await loadModel(path, options)) as unknown as ModelAt<P>
}

/**
 * @param files what Triton takes instead of the files of the model's directory; its server runs
 * @param isVariant whether the model is the cheaper variant of another: it gets none of its own
 */
export async function loadModel(
  path: string,
  options: LoadOptions,
  files?: ModelFiles,
  isVariant = false,
): Promise<NativeModel> {
  checkOptions(options)
  checkTritonOptions(options.triton)
  const overrides = overridesOf(options)
  const located = await locate(path, {
    ...(options.version === undefined ? {} : { version: options.version }),
    overrides,
  })
  const engine = options.engine ?? located.engine.engine
  const changed = Object.keys(overrides).length > 0
  const plan = engine === 'triton' ? tritonPlan(located, options, changed, files !== undefined) : undefined
  if (plan !== undefined) publishEngineLog()
  if (files !== undefined) await loadFiles(located, plan, files)
  const handle = await openModel(located, engine, options, plan)
  const { model, variant } = await openCore(located, engine, handle, options)
  try {
    if (variant !== undefined && !isVariant) {
      await addVariant(model, variant, located, options, (other, same) => loadModel(other, same, undefined, true))
    }
    if (options.sla === undefined) return model
    // Loaded only where there is a contract to measure against.
    const { measure } = await import('../sla/shared-monitors.js')
    await measure(model, options.sla, options.slaState)
    return model
  } catch (error) {
    await model.close()
    throw error
  }
}

/** Triton loads the model with these files; opening it afterwards finds it there. */
async function loadFiles(located: LocatedModel, plan: TritonPlan | undefined, files: ModelFiles): Promise<void> {
  if (plan === undefined) {
    throw new SubtenError('NOT_SUPPORTED', `model '${located.name}' is not Triton's: only that engine takes files`, {
      remedy: 'Write the files into the directory of the model.',
    })
  }
  const config = plan.settings.find(([key]) => key === 'config')?.[1] ?? ''
  await engineCall('triton', 'load', located.name, config, ...Object.entries(files).flat())
}

function overridesOf(options: LoadOptions): ConfigOverrides {
  const overrides: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined || OWN_OPTIONS.has(name)) continue
    if (!isConfigField(name)) {
      throw new SubtenError('CONFIG_INVALID', `options: ${name}: unknown option`, {
        details: { field: name },
        remedy: `Options are ${[...OWN_OPTIONS].join(', ')} and the settings of config.pbtxt by their own names.`,
      })
    }
    overrides[name] = value
  }
  if (options.parameters !== undefined && options.parameters !== null) {
    const entries = Object.entries(options.parameters).map(([key, value]) => [key, parameterOf(key, value)])
    overrides.parameters = Object.fromEntries(entries)
  }
  return overrides as ConfigOverrides
}

/** Null takes the entry of config.pbtxt away; our own entries are JSON. */
function parameterOf(name: string, value: unknown): { string_value: string } | null {
  if (value === null || value === undefined) return null
  const json = name.startsWith('subten.') && typeof value === 'object'
  return { string_value: json ? JSON.stringify(value) : String(value) }
}

async function openModel(
  located: LocatedModel,
  engine: string,
  options: LoadOptions,
  plan: TritonPlan | undefined,
): Promise<NativeModelHandle> {
  const partial = resolveConfig(located.document, { partial: true })
  const device =
    devicePlan(options, partial, engine) ?? (engine === 'tensorrt' ? await tensorrtPlan(located, partial) : undefined)
  return succeeded(
    await addon().openModel({
      engine,
      modelPath: located.file ?? '',
      libraryPath: plan?.libraryPath ?? device?.libraryPath ?? options.engineLibrary ?? '',
      parameters: engineParameters(partial),
      inputs: configTensors(partial, 'input'),
      outputs: configTensors(partial, 'output'),
      maxBatchSize: partial.max_batch_size,
      ...(plan && { settings: plan.settings }),
      ...(device && { settings: device.settings }),
      ...(device?.cudaDevice !== undefined && { cudaDevice: device.cudaDevice }),
    }),
  )
}

/** Tensors of the configuration in native terms: full shapes as the engine sees them. */
function configTensors(config: ModelConfig, kind: 'input' | 'output'): Omit<NativeTensor, 'optional'>[] {
  const batch = config.max_batch_size > 0 ? [-1] : []
  return config[kind].map((tensor) => ({
    name: tensor.name,
    type: Math.max(0, DATATYPES.indexOf((toKserveDatatype(tensor.data_type) ?? 'FP32') as Datatype)),
    shape: [...batch, ...(tensor.reshape?.shape ?? tensor.dims)],
    optional: 'optional' in tensor && tensor.optional === true,
    ragged: 'allow_ragged_batch' in tensor && tensor.allow_ragged_batch === true,
  }))
}

interface OpenedModel {
  readonly model: NativeModel
  /** What config.pbtxt names to answer requests that this model could not end in time. */
  readonly variant?: WantedVariant
}

async function openCore(
  located: LocatedModel,
  engine: string,
  handle: NativeModelHandle,
  options: LoadOptions,
): Promise<OpenedModel> {
  const spec: ModelSpec = {
    inputs: handle.inputs.map(specOf),
    outputs: handle.outputs.map(specOf),
    ...(handle.maxBatchSize > 0 && { maxBatchSize: handle.maxBatchSize }),
  }
  const facts = engine === 'triton' ? tritonFacts(located, handle, options) : undefined
  const document = completed(located, spec, facts)
  const config = resolveConfig(document, located.directory === undefined ? {} : { modelName: located.name })
  // Triton does itself what config.pbtxt says of shapes; what it takes is what a client sends.
  const view = facts ? clientView(config) : config
  checkAgainst(document, view, spec)
  refuseUnsupported(document, engine)
  const decoupled =
    config.model_transaction_policy?.decoupled === true ||
    (engine === 'null' && Number(config.parameters.parts?.string_value ?? 1) !== 1)
  const settings = subtenSettings(document, config)
  const slo = await sloOf(options, settings, located.name)
  refuseUnschedulable(document, slo, settings, { engine, decoupled, engineBatches: facts?.batchesInTriton === true })
  const info: ModelInfo = {
    name: located.name,
    version: facts?.version ?? String(located.version),
    engine,
    maxBatchSize: config.max_batch_size,
    inputs: handle.inputs.map((tensor) => publicSpec(tensor, view, 'input')),
    outputs: handle.outputs.map((tensor) => publicSpec(tensor, view, 'output')),
    metadata: facts?.metadata ?? handle.metadata,
    labels: await labelsOf(located, config),
    config: config as unknown as Record<string, unknown>,
    whenFull: options.whenFull ?? 'reject',
    decoupled,
    ...(options.slowMs === Number.POSITIVE_INFINITY && { recorded: false }),
    ...(facts && { attributes: true }),
    ...(slo && { slo }),
  }
  const core = {
    info: JSON.stringify(info),
    label: `model '${located.name}' (engine ${engine})`,
    decoupled,
    ...(engine === 'tensorrt' && { instances: tensorrtInstances(config) }),
    ...(facts && { instances: facts.instances, engineBatches: facts.batchesInTriton }),
  }
  const latencies = slo && latencyFile(located, config, engine, options, settings.deterministic === true)
  const latencyTable = slo
    ? (await latencies?.read()) || (await measured(handle, config, settings.deterministic === true))
    : ''
  const native = coreOptions(config, options, core, { slo, settings, latencyTable })
  const model = new NativeModel(info, (onWake) =>
    inRootContext(() => succeeded(addon().createPort(handle.handle, native, onWake))),
  )
  if (latencies) keepLatencies(model, latencies)
  // Without a promise nothing is refused, and there is nothing to answer instead.
  const name = slo && settings.cheaperVariant
  const opened = { model, ...(name !== undefined && { variant: { name, document, slo } }) }
  try {
    if (!facts) await warmUp(model, config, located) // Triton has done that already
    if (slo && handle.async === true && latencyTable === '') await learnLatencies(model)
  } catch (error) {
    await model.close()
    throw error
  }
  return opened
}

/** What batches take, so that the first requests are not admitted blindly. Two seconds at most, off the event loop. */
async function measured(
  { handle, async: asynchronous }: NativeModelHandle,
  config: ModelConfig,
  deterministic: boolean,
): Promise<string> {
  if (asynchronous === true) return ''
  const table = await addon().measureLatencies?.(handle, config.max_batch_size, deterministic)
  return typeof table === 'string' ? table : ''
}

/** Completed from the model, or by Triton, which batches only where it says so. */
function completed(located: LocatedModel, spec: ModelSpec, facts: TritonModelFacts | undefined): ConfigDocument {
  if (facts === undefined) return completeConfig(located.document, spec)
  const document = completeConfig(facts.document, spec)
  // An ONNX model batches as it does without Triton.
  if (facts.document.fields.dynamic_batching !== undefined || located.engine.backend === 'onnxruntime') return document
  const { dynamic_batching: _, ...fields } = document.fields
  return { ...document, fields, origin: (path) => document.origin(path) }
}

function specOf(tensor: NativeTensor): TensorSpec {
  const datatype = DATATYPES[tensor.type] as Datatype
  return { name: tensor.name, datatype, shape: tensor.shape, ...(tensor.optional ? { optional: true } : {}) }
}

/** As users see it: the dims of the configuration where it has the tensor, which may be narrower or reshaped. */
function publicSpec(tensor: NativeTensor, config: ModelConfig, kind: 'input' | 'output'): TensorSpec {
  const spec = specOf(tensor)
  const written = config[kind].find((each) => each.name === tensor.name)
  if (written === undefined) return spec
  const batch = config.max_batch_size > 0 ? [-1] : []
  const shape = [...batch, ...written.dims]
  const reshaped = written.reshape !== undefined
  return { ...spec, shape, ...(reshaped ? { engineShape: [...batch, ...(written.reshape?.shape ?? [])] } : {}) }
}

function refuseUnsupported(document: ConfigDocument, engine: string): void {
  for (const { field, file, line, severity } of unsupportedSettings(document, engine)) {
    const where = file === undefined ? 'options' : line === undefined ? file : `${file}:${line}`
    if (severity === 'refuse') {
      throw new SubtenError('NOT_SUPPORTED', `${where}: ${field} is not supported by this version of subten`, {
        details: { file, line, field },
      })
    }
    process.emitWarning(`${where}: ${field} has no effect in this version of subten`, {
      code: 'SUBTEN_SETTING_IGNORED',
    })
  }
}

async function labelsOf(located: LocatedModel, config: ModelConfig): Promise<Record<string, readonly string[]>> {
  const labels: Record<string, readonly string[]> = Object.create(null)
  for (const [index, output] of config.output.entries()) {
    if (!output.label_filename || located.directory === undefined) continue
    labels[output.name] = await readLabels(located.directory, output.label_filename, index)
  }
  return labels
}
