import { existsSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { ConfigFields } from '../repository/config-document.js'
import { type ConfigDocument, documentError } from '../repository/config-document.js'
import type { ModelConfig } from '../repository/config-types.js'
import type { LocatedModel } from '../repository/repository.js'
import { isSubtenParameter } from '../repository/subten-parameters.js'
import type { NativeModelHandle } from '../runtime/binding.js'
import { SubtenError } from '../runtime/errors.js'
import type { LoadOptions, TritonOptions } from '../runtime/types.js'
import { checkTritonOptions, foundTriton, type Setting, serverSettings } from './triton-options.js'

/** Our backend for ONNX models, for a Triton that has none. */
const OWN_ONNX_BACKEND = 'subten_onnxruntime'
/** Requests that Triton may hold of one model: its own scheduler has the queue then. */
const TRITON_REQUESTS = 512

/** How a model is opened in Triton. */
export interface TritonPlan {
  readonly libraryPath: string
  readonly settings: readonly Setting[]
}

/** The paths of files in a model's directory, and what to take instead of them. */
export type ModelFiles = { readonly [path: string]: Uint8Array }

/**
 * What native code needs to open a model of Triton: its server, the model in its repository, and a configuration that
 * replaces the file's where something must change.
 *
 * @param overridden whether the options of `load` change settings of config.pbtxt
 * @param loaded whether Triton has the model already, by a repository's own load
 * @throws SubtenError NOT_SUPPORTED for a lone file, ENGINE_NOT_FOUND, CONFIG_INVALID
 */
export function tritonPlan(
  located: LocatedModel,
  options: LoadOptions,
  overridden: boolean,
  loaded: boolean,
): TritonPlan {
  const triton = checkTritonOptions(options.triton)
  if (located.directory === undefined) {
    throw new SubtenError('NOT_SUPPORTED', `${located.file} is a lone file, and Triton takes a model's directory`, {
      remedy: 'Put the file in a directory, as MODEL/1/model.onnx, and load MODEL.',
    })
  }
  const files = foundTriton(options)
  const server = serverSettings(triton, files)
  const backends = server.find(([key]) => key === 'backend_directory')?.[1]
  const served = located.versions.includes(located.version)
  // Triton takes files only together with a configuration.
  const config = overriddenConfig(located, triton, overridden || loaded, backends, served)
  return {
    libraryPath: files.library,
    settings: [
      ['repository', dirname(located.directory)],
      ['model', basename(located.directory)],
      ['version', options.version === undefined ? '' : String(located.version)],
      ['config', config === undefined ? '' : JSON.stringify(config)],
      ['batching', batchesInTriton(located.document, triton) ? 'triton' : 'subten'],
      ...(loaded ? [['loaded', 'true'] as const] : []),
      ...server,
    ],
  }
}

/** The whole configuration where the file's will not do; undefined where nothing changes. */
function overriddenConfig(
  located: LocatedModel,
  triton: TritonOptions,
  overridden: boolean,
  backends: string | undefined,
  served: boolean,
): ConfigFields | undefined {
  const { document, engine } = located
  const config: ConfigFields = { ...document.fields }
  let changed = overridden
  if (!batchesInTriton(document, triton) && config.dynamic_batching !== undefined) {
    // Two queues in a row only add delay.
    delete config.dynamic_batching
    changed = true
  }
  const known = backends !== undefined && existsSync(join(backends, 'onnxruntime'))
  if (engine.backend === 'onnxruntime' && backends !== undefined && !known) {
    config.backend = OWN_ONNX_BACKEND
    delete config.platform
    config.default_model_filename = engine.filename
    changed = true
  }
  if (!served) {
    // Triton's policy would not load the version that was asked for.
    config.version_policy = { specific: { versions: [located.version] } }
    changed = true
  }
  if (!changed) return undefined
  config.name ??= located.name
  if (config.parameters) config.parameters = withoutOurs(config.parameters)
  // What Triton tells from the name of the file it does not tell where a configuration is given.
  if (!config.backend && !config.platform && engine.backend !== '') config.backend = engine.backend
  return config
}

/** Settings of subten are no parameters of a backend. */
function withoutOurs(parameters: NonNullable<ConfigFields['parameters']>): NonNullable<ConfigFields['parameters']> {
  return Object.fromEntries(Object.entries(parameters).filter(([name]) => !isSubtenParameter(name)))
}

/**
 * Who batches: Triton where the user says so, and where only it can, because requests must reach it one by one.
 *
 * @throws SubtenError CONFIG_INVALID where the user wants subten's batcher for a model that only Triton can batch
 */
export function batchesInTriton(document: ConfigDocument, { batching }: TritonOptions): boolean {
  const needed = onlyInTriton(document.fields)
  if (needed !== undefined && batching === 'subten') {
    const remedy = 'Leave triton.batching out.'
    throw documentError(document, needed.path, `${needed.why}, so triton.batching cannot be 'subten'`, remedy)
  }
  return needed !== undefined || batching === 'triton'
}

function onlyInTriton(fields: ConfigFields): { path: string[]; why: string } | undefined {
  const why = (path: string, reason: string): { path: string[]; why: string } => ({ path: [path], why: reason })
  if (fields.sequence_batching) return why('sequence_batching', "a sequence's requests go to Triton one by one")
  if (fields.ensemble_scheduling || fields.platform === 'ensemble') {
    return why('ensemble_scheduling', 'the models of an ensemble batch, each for itself')
  }
  if (fields.model_transaction_policy?.decoupled) {
    return why('model_transaction_policy', 'a decoupled model answers each request for itself')
  }
  if (fields.response_cache?.enable) return why('response_cache', 'the cache of Triton knows single requests')
  if (fields.batch_input?.length || fields.batch_output?.length) {
    return why('batch_input', 'batch_input and batch_output are made from single requests')
  }
  const inputs = fields.input ?? []
  if (inputs.some((input) => input.allow_ragged_batch)) return why('input', 'ragged inputs cannot be put together')
  if ((fields.max_batch_size ?? 0) > 0 && inputs.some((input) => input.optional)) {
    return why('input', 'requests with and without an optional input cannot be put together')
  }
  return undefined
}

/** What is known of a model after Triton has loaded it. */
export interface TritonModelFacts {
  /** As the file and the options have it, with what Triton has completed. */
  readonly document: ConfigDocument
  readonly decoupled: boolean
  readonly batchesInTriton: boolean
  readonly instances: number
  readonly version: string
  readonly metadata: Readonly<Record<string, string>>
}

/** Triton's completed configuration, as far as subten acts on it. Its JSON has int64 numbers as numbers or strings. */
interface CompletedConfig {
  readonly max_batch_size?: number | string
  readonly dynamic_batching?: object
  readonly sequence_batching?: object
  readonly model_transaction_policy?: { readonly decoupled?: boolean }
  readonly instance_group?: readonly { kind?: string; count?: number | string; gpus?: readonly unknown[] }[]
}

/** Puts together what the file says and what Triton made of it. */
export function tritonFacts(located: LocatedModel, handle: NativeModelHandle, options: LoadOptions): TritonModelFacts {
  const { config: text, version, decoupled: flag, ...metadata } = handle.metadata
  const completed = completedConfig(text)
  const triton = checkTritonOptions(options.triton)
  const fields: ConfigFields = { ...located.document.fields }
  fields.max_batch_size = Number(completed.max_batch_size ?? fields.max_batch_size ?? 0)
  const decoupled = flag === 'true' || completed.model_transaction_policy?.decoupled === true
  if (decoupled) fields.model_transaction_policy = { decoupled: true }
  if (completed.sequence_batching && !fields.sequence_batching) fields.sequence_batching = {}
  const document: ConfigDocument = { ...located.document, fields, origin: (path) => located.document.origin(path) }
  const inTriton = batchesInTriton(document, triton)
  if (completed.dynamic_batching !== undefined && !completed.sequence_batching) fields.dynamic_batching ??= {}
  const { maxQueueSize = TRITON_REQUESTS } = options
  return {
    document,
    decoupled,
    batchesInTriton: inTriton,
    instances: inTriton ? Math.min(TRITON_REQUESTS, maxQueueSize) : instancesOf(completed),
    version: version || String(located.version),
    metadata,
  }
}

function completedConfig(text: string | undefined): CompletedConfig {
  try {
    const parsed: unknown = JSON.parse(text || '{}')
    return typeof parsed === 'object' && parsed !== null ? parsed : {}
  } catch (cause) {
    throw new SubtenError('ENGINE_FAILED', "Triton's configuration of the model is no JSON", { cause })
  }
}

/** Batches that Triton can run at once: its instances, on every GPU that a group names. */
function instancesOf({ instance_group = [] }: CompletedConfig): number {
  const count = instance_group.reduce((sum, { kind, count: own, gpus }) => {
    return sum + Number(own ?? 1) * (kind === 'KIND_GPU' ? Math.max(1, gpus?.length ?? 0) : 1)
  }, 0)
  return Math.max(1, Math.min(TRITON_REQUESTS, Number.isFinite(count) ? count : 1))
}

/** As a client sees it: Triton reshapes, pads and completes by itself. */
export function clientView(config: ModelConfig): ModelConfig {
  const plain = <T extends { reshape?: unknown }>({ reshape: _, ...io }: T): Omit<T, 'reshape'> => io
  return {
    ...config,
    batch_input: [],
    batch_output: [],
    input: config.input.map((io) => ({ ...plain(io), allow_ragged_batch: false, optional: false })),
    output: config.output.map(plain),
  }
}
