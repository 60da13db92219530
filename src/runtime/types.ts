import type { Explanation } from '../flight/types.js'
import type { Contract, SlaEvent, SlaStatus } from '../sla/types.js'
import type { Datatype, NumericData, TensorData } from './datatype.js'
import type { BatchReason, Stats } from './stats.js'
import type { Tensor } from './tensor.js'

/** A tensor of a model as it is declared. `shape` has the batch dimension first (-1) when maxBatchSize > 0. */
export interface TensorSpec {
  readonly name: string
  readonly datatype: Datatype
  readonly shape: readonly number[]
  readonly optional?: boolean
  /** The shape the engine gets, where config.pbtxt reshapes the tensor. */
  readonly engineShape?: readonly number[]
}

/** `{ data, shape?, datatype? }`; numbers[] are converted where the datatype is known from the model. */
export interface TensorInput {
  data: TensorData | readonly string[] | readonly Uint8Array[] | ArrayBufferView
  shape?: readonly number[]
  datatype?: Datatype
}

export type InputValue = NumericData | ArrayBufferView | readonly string[] | readonly Uint8Array[] | TensorInput
/** Tensors by name. */
export type Inputs = { readonly [name: string]: InputValue | undefined }
export type Outputs = { readonly [name: string]: Tensor } & {
  readonly timing?: Timing
  /** The cheaper variant that answered, where it was not the model itself; not enumerable. */
  readonly servedBy?: string
}

/** Stages of one request in microseconds; on the result of `infer(..., { trace: true })`. */
export interface Timing {
  /** submit → a leader took the request from the inbox. */
  readonly inbox: number
  /** leader → its batch was formed. */
  readonly queue: number
  /** batch formed → engine start: inputs gathered. */
  readonly prepare: number
  /** engine start → engine end. */
  readonly compute: number
  /** engine end → completion published. */
  readonly publish: number
  /** completion → drained on the thread of the caller. */
  readonly wake: number
  /** submit → drained. */
  readonly total: number
  readonly batchSize: number
  /** Why the batch was dispatched. */
  readonly reason: BatchReason
  /** The cheaper variant that answered, where it was not the model itself. */
  readonly servedBy?: string
  toServerTiming(): string
}

export type { BatchReason }

export interface InferOptions {
  /** Aborting rejects with `signal.reason`. */
  signal?: AbortSignal
  /** Budget left from now, milliseconds; a request still queued then ends with DEADLINE_EXCEEDED. */
  deadlineMs?: number
  /** 1 is the highest; 0 or absent: the model's default_priority_level. */
  priority?: number
  /** Triton's per-request queue timeout, microseconds; counts only where the config sets allow_timeout_override. */
  timeoutUs?: number
  /** Name of the request in logs and traces; engines that take request attributes (Triton) get it. */
  id?: string
  /** The sequence that the request belongs to, for models with `sequence_batching`; NOT_SUPPORTED elsewhere. */
  sequence?: Sequence
  /** Parameters that the model reads with the request; NOT_SUPPORTED for engines that take none. */
  parameters?: { readonly [name: string]: string | number | bigint | boolean }
  /** Adds `timing` to the result. */
  trace?: boolean
  /** BYTES outputs as Uint8Array[] instead of string[]. */
  bytes?: boolean
}

/** How one picture is classified. */
export interface ClassifyOptions extends Pick<InferOptions, 'signal' | 'deadlineMs' | 'priority' | 'id' | 'trace'> {
  /** Classes in the result, the likeliest first; 5 by default, as many as there are at most. */
  topK?: number
  /** Width × height that a picture may have; 16 million by default. Told from its header. */
  maxPixels?: number
}

/** One class of a result. */
export interface ClassScore {
  /** The line of labels.txt, or the index where there is none. */
  readonly label: string
  readonly index: number
  readonly score: number
}

export interface Classification {
  readonly model: string
  readonly version: string
  /** The likeliest classes, highest score first. */
  readonly top: readonly ClassScore[]
  /** With `trace: true`; not enumerable. */
  readonly timing?: ClassifyTiming
  /** The cheaper variant that answered, where it was not the model itself; not enumerable. */
  readonly servedBy?: string
}

/** Stages of one classified picture in microseconds. `total` is that of the model's request, without these two. */
export interface ClassifyTiming extends Timing {
  /** classify() → the pixels are there: waiting for room to decode, decoding, resizing. */
  readonly decode: number
  /** Writing the normalised values into the memory of the request. */
  readonly preprocess: number
}

/** Requests that a model with state handles in order, on one instance. */
export interface Sequence {
  /** A whole number from 1 to 2^64 - 1, or a name of 1 to 128 bytes: the same for all requests of the sequence. */
  id: number | bigint | string
  /** The first request of the sequence. */
  start?: boolean
  /** The last request of the sequence. */
  end?: boolean
}

/**
 * The responses to one request, in order: `for await (const part of stream)`. Leaving the loop, `return()` and
 * `throw()` cancel the request. The engine waits while 16 parts are unread.
 */
export interface ModelStream extends AsyncDisposable {
  [Symbol.asyncIterator](): ModelStream
  next(): Promise<IteratorResult<Outputs, undefined>>
  return(): Promise<IteratorResult<Outputs, undefined>>
  throw(error: unknown): Promise<IteratorResult<Outputs, undefined>>
}

export interface InferManyOptions extends InferOptions {
  /** 'reject' (default): the first failure rejects; 'settle': every row ends as `{ ok, value | error }`. */
  onError?: 'reject' | 'settle'
}

export type Settled<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: unknown }

export interface ClaimOptions {
  signal?: AbortSignal
  /** Rows of the request; 1 by default. */
  rows?: number
  /** Shapes of inputs that have unknown dimensions. */
  shapes?: { readonly [name: string]: readonly number[] }
}

/** A claimed slot: tensors are written in place and results read in place, without a copy. */
export interface Slot extends Disposable {
  readonly inputs: { readonly [name: string]: Tensor }
  /**
   * Views in the result are valid until the slot is released. A slot may be submitted again after it completed. A full
   * queue refuses it with QUEUE_FULL also where the model has `whenFull: 'wait'`: the slot is yours to submit again.
   */
  submit(options?: InferOptions): Promise<Outputs>
  release(): void
}

/**
 * How `engine: 'triton'` works. All but `batching` belong to the server, which a process has once: models that name
 * other values than the running server has are refused with CONFIG_INVALID.
 */
export interface TritonOptions {
  /**
   * Who batches: subten (default), whose batches Triton gets as one request each, or Triton's own scheduler, which gets
   * every request alone. Models with sequences, ensembles, decoupled models, response caches, ragged and optional inputs
   * are always batched by Triton.
   */
  batching?: 'subten' | 'triton'
  /** Which models Triton loads: those that subten asks for (default), all of the repository, or all and what changes. */
  control?: 'explicit' | 'none' | 'poll'
  /** Folder with a folder for each backend; by default `backends` beside the folder of the library. */
  backendDirectory?: string
  /** What Triton writes to standard error; 'error' by default. */
  logLevel?: 'error' | 'warning' | 'info' | 'verbose'
  /** Whether Triton's rate limiter counts executions; 'off' by default. */
  rateLimiter?: 'off' | 'execution_count'
  /** A response cache, for models with `response_cache { enable: true }`: `{ name: 'local', settings: { size: 1048576 } }`. */
  cache?: { readonly name: string; readonly settings: { readonly [key: string]: string | number | boolean } }
  /** Folder with the libraries of caches; by default `caches` beside the folder of the library. */
  cacheDirectory?: string
  /** Threads that load models; Triton's own default where absent. */
  modelLoadThreads?: number
  /** Refuse models whose config.pbtxt is not complete, instead of completing it; false by default. */
  strictConfig?: boolean
  /** Seconds that Triton waits for requests when it stops; 5 by default. */
  exitTimeoutSeconds?: number
  /** The Python of the Python backend: an interpreter, or the folder of a virtual environment (with numpy). */
  python?: string
  /** Settings of backends by their names, as `--backend-config` takes them; '' stands for all backends. */
  backendConfig?: { readonly [backend: string]: { readonly [key: string]: string | number | boolean } }
}

/** NVIDIA GPUs by ONNX Runtime's CUDA provider. The library must have been built for GPUs (`engineLibrary`). */
export interface CudaProvider {
  readonly name: 'cuda'
  /** As CUDA numbers the devices, from 0; 0 by default. */
  readonly deviceId?: number
  /** The most memory of the device that the model may take for its tensors, MiB. */
  readonly memoryLimitMb?: number
  /** How the kernel of a convolution is chosen, at its first run; 'exhaustive' by default. */
  readonly convolutionSearch?: 'exhaustive' | 'heuristic' | 'default'
  /** FP32 products in TF32, with 10 bits of mantissa; on by default. */
  readonly tf32?: boolean
  /** Convolutions in the layout NHWC; off by default. */
  readonly preferNhwc?: boolean
  /**
   * Records the runs of a model whose operators all run on the device and whose shapes are fixed beside the batch, once
   * for 1, 2, 4, … rows and `max_batch_size`; batches are padded to the next. On by default. Such a model has a session,
   * with its weights, for each instance, and no `inferSync`.
   */
  readonly graphs?: boolean
  /** Page-locks the memory of the model's requests, so that the device copies it by itself; on by default. */
  readonly pinnedMemory?: boolean
  /** Folders of CUDA's libraries, or `site-packages/nvidia`; before SUBTEN_CUDA_LIBRARY_PATH and the system. */
  readonly libraryPath?: string | readonly string[]
  /** Options of the provider by its own names. */
  readonly providerOptions?: { readonly [name: string]: string | number | boolean }
}

/**
 * TensorRT by ONNX Runtime's provider: it makes engines of the parts of a model that it has, when the model is loaded. Also
 * needs what 'cuda' needs, and TensorRT itself. For plans that are made before there is the engine `tensorrt`.
 */
export interface TensorrtProvider {
  readonly name: 'tensorrt'
  /** As CUDA numbers the devices, from 0; 0 by default. */
  readonly deviceId?: number
  /** Memory of the device that layers may use while they run, MiB. */
  readonly workspaceMb?: number
  /** Layers of FP32 models may compute in FP16. */
  readonly fp16?: boolean
  /** Layers may compute in INT8; models with Q and DQ need it not in TensorRT 10 and newer. */
  readonly int8?: boolean
  /** How long engines are optimised for, 0 to 5; 3 by default. */
  readonly builderLevel?: number
  /** Folder in which engines are kept, so that later loads do not build them. They are code: nobody else may write to it. */
  readonly engineCache?: string
  /** Folder in which the times of kernels are kept. */
  readonly timingCache?: string
  /**
   * Shapes of inputs that engines are built for; by default those of config.pbtxt's `input` for 1 to `max_batch_size` rows.
   * A batch outside of them has an engine built anew, for seconds or minutes.
   */
  readonly profile?: {
    readonly [bound in 'min' | 'opt' | 'max']: { readonly [input: string]: readonly number[] }
  }
  /** Page-locks the memory of the model's requests; on by default. */
  readonly pinnedMemory?: boolean
  /** Folders of the libraries of CUDA and TensorRT; before SUBTEN_CUDA_LIBRARY_PATH and the system. */
  readonly libraryPath?: string | readonly string[]
  /** Options of the provider by its own names. */
  readonly providerOptions?: { readonly [name: string]: string | number | boolean }
}

/**
 * OpenVINO on CPUs of x86-64, by an ONNX Runtime that was built with it: `npx subten providers install openvino`. A
 * process has one ONNX Runtime, so models without this provider run in that one too.
 */
export interface OpenvinoProvider {
  readonly name: 'openvino'
  /** A device by OpenVINO's own name; 'CPU' by default. Only 'CPU' is installed and tested. */
  readonly device?: string
  /**
   * What products are computed in: 'fp32' by default, 'bf16' or 'fp16' on processors that have it (faster, with about
   * three significant digits), 'accuracy' for what the model itself says.
   */
  readonly precision?: 'fp32' | 'bf16' | 'fp16' | 'accuracy'
  /** Threads that OpenVINO computes with; by default as many as ONNX Runtime's pool has. */
  readonly threads?: number
  /** Runs that are computed side by side and share the threads out; by default one an instance of the model. */
  readonly streams?: number
  /** A folder for compiled models, which then load sooner. Code is loaded from it: it must be writable by nobody else. */
  readonly cacheDirectory?: string
  /** The ONNX Runtime that has the provider, or its folder; before SUBTEN_ONNXRUNTIME_LIB and what was installed. */
  readonly libraryPath?: string
  /** Options of the provider by its own names. */
  readonly providerOptions?: { readonly [name: string]: string | number | boolean }
}

/** What computes a model of ONNX Runtime. An operator goes to the first in the list that has it. */
export type ExecutionProvider =
  | 'cuda'
  | 'tensorrt'
  | 'openvino'
  | 'cpu'
  | CudaProvider
  | TensorrtProvider
  | OpenvinoProvider
  | { readonly name: 'cpu' }

export interface LoadOptions {
  engine?: 'onnxruntime' | 'null' | 'triton' | 'tensorrt'
  /** Path of the engine's library, instead of the search. */
  engineLibrary?: string
  /**
   * Where ONNX Runtime computes: `[{ name: 'cuda', deviceId: 0 }]`, `[{ name: 'openvino' }]`. Operators that the
   * provider does not have are then an error; `[{ name: 'cuda' }, 'cpu']` runs those on the CPU, `['tensorrt', 'cuda']` those
   * that TensorRT lacks on CUDA. ONNX Runtime's own CPU
   * provider by default, or what `instance_group` says.
   */
  executionProviders?: readonly ExecutionProvider[]
  /** How Triton works, for models of its engine. */
  triton?: TritonOptions
  version?: number | string
  wake?: 'auto' | 'latency' | 'powersave'
  /**
   * What 99 % of the requests are to keep, milliseconds from submit to result. Requests are then ordered by their
   * deadlines (arrival + p99Ms where none is given), batches formed as large as these allow, and a request that is
   * predicted to miss its deadline is refused with SLO_UNREACHABLE. Wins over the parameter `subten.slo` of config.pbtxt;
   * `false` turns that off. `'contract'`: where neither says more, the tightest latency that the contract in `sla` says
   * 99 % or more of the requests of this model keep. NOT_SUPPORTED for models that an engine batches by itself, and for
   * decoupled ones.
   */
  slo?: { p99Ms: number } | 'contract' | false | null
  /**
   * Directory in which the latencies that `slo` learns are kept between processes, or false; by default
   * `$SUBTEN_CACHE_DIR`, `$XDG_CACHE_HOME/subten` or `~/.cache/subten`.
   */
  latencyCache?: string | false
  /** Memory for tensors, MiB; 64 by default. */
  memoryMb?: number
  /** Requests that may be queued; 4096 by default. */
  maxQueueSize?: number
  /**
   * Requests that take longer, milliseconds, are kept for `slowRequests()`; by default those above the 99th percentile.
   * `Infinity`: none, and nothing is watched that would explain them.
   */
  slowMs?: number
  whenFull?: 'reject' | 'wait'
  debug?: boolean
  /** The SLA contract that the model is measured against: a file, or what was read from one. */
  sla?: string | Contract
  /** File in which what was measured survives a restart; none by default. One process at a time may have it. */
  slaState?: string
  /**
   * Parameters of the engine, and settings beyond Triton's schema as config.pbtxt has them: names that begin with
   * `subten.` and JSON as their strings, or the objects, numbers and booleans themselves.
   */
  parameters?: { readonly [name: string]: string | number | boolean | object | null }
  /** Every config.pbtxt setting by its own name. */
  readonly [setting: string]: unknown
}

/** Options of every load from a repository. */
export type RepositoryOptions = LoadOptions

/** Options of one load from a repository, over those of the repository. */
export interface RepositoryLoadOptions extends LoadOptions {
  /** Settings of config.pbtxt by their own names, laid over those of the file. */
  config?: { readonly [setting: string]: unknown }
  /** What Triton takes instead of the model's files: paths in the model's directory (`1/model.py`) and their bytes. */
  files?: { readonly [path: string]: Uint8Array }
}

/** One model of a repository. */
export interface RepositoryEntry {
  readonly name: string
  /** The version that is loaded, or would be; '' where that is not known. */
  readonly version: string
  readonly state: 'READY' | 'LOADING' | 'UNAVAILABLE' | 'UNLOADED'
  /** Why the model is unavailable; '' otherwise. */
  readonly reason: string
  readonly engine: string
}

/** A directory of models, to load and unload them by name. */
export interface Repository extends AsyncDisposable {
  /** Absolute. */
  readonly path: string
  /** The models of the directory, by name. */
  index(): RepositoryEntry[]
  /**
   * Loads a model, or loads it anew: the model before serves until the new one is ready and is drained then, except in
   * Triton, which has a model once and drains it first. One version of a model at a time.
   */
  load(name: string, options?: RepositoryLoadOptions): Promise<Model>
  /** The loaded model; MODEL_NOT_FOUND where it is not loaded. */
  model(name: string): Model
  /** Drains and closes the model; nothing happens where it is not loaded. */
  unload(name: string): Promise<void>
  /** In the form of the KServe protocol. */
  metadata(name: string): Promise<object>
  /** The completed configuration, in Triton's names. */
  config(name: string): Promise<object>
  /** Triton's statistics of one model or of all; NOT_SUPPORTED for models of other engines. */
  statistics(name?: string): Promise<object>
  /** Triton's metrics in Prometheus's text format; '' while no model of Triton was loaded. */
  metricsText(): Promise<string>
  live(): Promise<boolean>
  /** Nothing is loading, and Triton, where it runs, is ready. */
  ready(): Promise<boolean>
  /** Unloads every model. */
  close(): Promise<void>
}

/** What a process-wide registry knows a loaded model by; may be posted to worker threads. */
export interface ShareToken {
  readonly subten: 1
  readonly id: string
  readonly [key: string]: unknown
}

/** Events of a model: what its listeners get, by name. */
export interface ModelEvents {
  /** An alert of an objective began to fire or stopped, or an objective was broken or is met again. */
  sla: SlaEvent
}

/** How a model stands to its SLA contract, and what the application tells of it. */
export interface ModelSla {
  /** Objectives of the contract that are about this model. CONFIG_INVALID where the model was loaded without a contract. */
  status(): SlaStatus
  /**
   * Counts events that the application measures: those of accuracy, of freshness, and of objectives measured at the
   * client. `objective`: its name in the contract; or `'accuracy'` or `'freshness'` for every objective of that kind.
   * The events count for now.
   *
   * @throws SubtenError INVALID_INPUT where the contract has no such objective for this model, where it is measured by
   *   subten itself, and where the counts are no whole numbers with `good <= total`
   */
  record(objective: string, counts: { good: number; total: number; excluded?: number }): void
}

export interface Model extends AsyncDisposable {
  readonly name: string
  readonly version: string
  readonly engine: string
  /** 0: the model does not batch. */
  readonly maxBatchSize: number
  readonly inputs: readonly TensorSpec[]
  readonly outputs: readonly TensorSpec[]
  /** The model answers a request with any number of responses: read them with stream(); infer() is NOT_SUPPORTED. */
  readonly decoupled: boolean
  /** The promise that requests are scheduled by; undefined where there is none. */
  readonly slo?: { readonly p99Ms: number } | undefined
  /** Facts from the model file: producer, description and the like. */
  readonly metadata: Readonly<Record<string, string>>
  /** Labels of an output, from its label_filename; undefined where it has none. */
  labels(output: string): readonly string[] | undefined
  /** The resolved configuration (config.pbtxt completed from the model, options applied), in Triton's names. */
  readonly config: Readonly<Record<string, unknown>>
  readonly closed: boolean
  infer(inputs: Inputs, options?: InferOptions): Promise<Outputs>
  inferSync(inputs: Inputs, options?: { bytes?: boolean; trace?: boolean }): Outputs
  inferMany(rows: readonly Inputs[], options: InferManyOptions & { onError: 'settle' }): Promise<Settled<Outputs>[]>
  inferMany(rows: readonly Inputs[], options?: InferManyOptions): Promise<Outputs[]>
  /**
   * The classes of a picture, given as the bytes of a PNG, JPEG or WebP file, which must not change until the result is
   * there. It is decoded and resized off the event loop as the model's `subten.preprocess` says, and its values are
   * written straight into the memory of the request. The time that decoding takes counts against `deadlineMs`.
   *
   * @throws SubtenError INVALID_INPUT: no such picture (`details.http` 415), too many pixels (413), damaged, wrong options;
   *   CONFIG_INVALID: `subten.preprocess` is wrong; NOT_SUPPORTED: the model takes no picture; and what `infer` throws
   */
  classify(bytes: Uint8Array | ArrayBuffer, options?: ClassifyOptions): Promise<Classification>
  /**
   * Sends one request and returns its responses as they come: 0 to n of a decoupled model, one of any other. The request
   * is sent at once, and inputs may be used again. `deadlineMs` is the budget of the whole stream: when it has passed,
   * the stream ends with DEADLINE_EXCEEDED. Errors of the request come from the stream, errors of the arguments too.
   */
  stream(inputs: Inputs, options?: InferOptions): ModelStream
  claim(options?: ClaimOptions): Promise<Slot>
  tryClaim(options?: Omit<ClaimOptions, 'signal'>): Slot | null
  stats(): Stats
  resetStats(): void
  /** Measuring against the contract that the model was loaded with (`load(path, { sla })`). */
  readonly sla: ModelSla
  /** Calls `listener` at each event, in the asynchronous context of this call. What it throws becomes a warning. */
  on<E extends keyof ModelEvents>(event: E, listener: (event: ModelEvents[E]) => void): this
  once<E extends keyof ModelEvents>(event: E, listener: (event: ModelEvents[E]) => void): this
  off<E extends keyof ModelEvents>(event: E, listener: (event: ModelEvents[E]) => void): this
  /**
   * Why the request with this `id` took as long as it did; undefined where it was not slow, or is not kept any more. What
   * is known of a pause of the garbage collector or of the host comes up to 100 ms after the request.
   */
  explain(id: string): Explanation | undefined
  /** The slow requests that are kept, slowest first: at most the last 512 and the four slowest of each of ten minutes. */
  slowRequests(): Explanation[]
  share(): ShareToken
  ref(): this
  unref(): this
  close(): Promise<void>
}
