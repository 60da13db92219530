import { createRequire } from 'node:module'
import { addonFile, installed, jpegFile, onnxruntimeFile, ownFile, tensorrtFolder } from './addon-file.js'
import { errorFromNative } from './errors.js'
import { noAddon } from './no-addon.js'

/** An error as it crosses from native code. */
export interface NativeStatus {
  readonly status: number
  readonly message: string
}

export interface NativeTensor {
  readonly name: string
  /** Index into DATATYPES. */
  readonly type: number
  readonly shape: number[]
  readonly optional: boolean
  readonly ragged?: boolean
}

export interface NativeModelHandle {
  readonly handle: object
  readonly inputs: NativeTensor[]
  readonly outputs: NativeTensor[]
  readonly metadata: Record<string, string>
  readonly async: boolean
  /** Rows that the model itself allows; 0 where it says nothing. */
  readonly maxBatchSize: number
}

/** Latencies that an engine measures inside itself, by name; `stages` as in {@link NativeStats}. */
export interface NativeExtraStages {
  readonly names: string[]
  readonly stages: Float64Array[]
}

export interface NativeStats {
  readonly counts: number[]
  readonly batches: number[]
  /** [rows, batches, rows, batches, …]. */
  readonly sizes?: Float64Array
  /** Batches in the engine, and nanoseconds since the oldest of them was formed. */
  readonly running: number[]
  /** Nanoseconds: [sum, max, value, count, value, count, …] for each stage. */
  readonly stages: Float64Array[]
  readonly extra?: NativeExtraStages
  readonly memory: number[]
}

/** `deadlineMs` < 0: none; `timeoutUs` 0: the level's own; `flags`: 1 staged, 2 explicit. */
type SubmitCall = (
  slot: number,
  generation: number,
  rows: number,
  priority: number,
  deadlineMs: number,
  timeoutUs: number,
  flags: number,
) => number

/** A port of the native core; see native/node/port_calls.cc. Functions that return numbers return -code on failure. */
export interface NativePort {
  submit: SubmitCall
  /** One row in the slot's home place, no deadline, the default priority: `submit` for the usual case. */
  submitHome(slot: number, generation: number): number
  /** How many completions are in `taken`; small outputs are copied into `chunk` from `used` on. */
  take(limit: number, chunk: ArrayBuffer | undefined, used: number): number
  runSync: SubmitCall
  releaseSync(): void
  lease(pairs: Uint32Array): number
  /** The first `count` pairs of slot and generation go back to the core. */
  giveBack(pairs: Uint32Array, count: number): void
  allocate(slot: number, generation: number, input: number, bytes: number): number
  abandon(slot: number, generation: number): void
  /** `late` 1: its time was up, which counts as expired. */
  cancel(slot: number, generation: number, late?: 0 | 1): boolean
  release(slot: number, generation: number): number
  /** While it is on, the engine waits before it sends the next part of the request. */
  pause?(slot: number, generation: number, on: boolean): void
  /** What the next submission of the slot carries beside its tensors: 0 or -code. `flags`: 1 start, 2 end. */
  attributes?(
    slot: number,
    generation: number,
    id: string,
    sequence: string | bigint,
    flags: number,
    parameters: readonly (readonly [string, string | number | bigint | boolean])[],
  ): number
  /** Of a record, or of the last failed call when `record` is -1. */
  message(record: number): string
  takeOutput(record: number, output: number): ArrayBuffer
  wrap(offset: number, bytes: number): ArrayBuffer
  detach(buffer: ArrayBuffer): void
  share(): string
  keep(mode: 0 | 1 | 2): void
  inFlight(): number
  /** Requests that take longer are kept; 0: those above the 99th percentile; < 0: none. */
  slowLimit(us: number): void
  /** Slow requests with a number above `since`; src/flight/decode.ts reads them. */
  slowRequests(since: number): Float64Array
  stats(): NativeStats
  resetStats(): void
  close(): Promise<unknown>
  /** [submitted, succeeded, failed, cancelled, expired, refused, measured, within…] since the model was loaded. */
  totals?(thresholdsNs: Float64Array): Float64Array | undefined
  /** Counts a request that its caller was refused (0), or whose time was up before it could be submitted (1). */
  turnedAway(late: 0 | 1): void
  /** The learned latencies as one line of JSON, for the option `latencyTable` of a later process; '' without slo. */
  latencyTable?(): string
  /**
   * After a submit that was refused with SLO_UNREACHABLE: nanoseconds from then to the predicted end; below 0 where the
   * request itself would have been in time, and others that were admitted before not.
   */
  predictedNs?(): number
  /**
   * [1 when slo is on, admitted, refused as unreachable, dropped in the queue, late although admitted, arrivals rows/s,
   * best rate rows/s, lateness of the event loop ns, instances], then for each batch size [rows, shape class, typical
   * ns, high ns, samples, basis: 0 measured, 1 between, 2 beyond].
   */
  sloFigures?(): Float64Array
  readonly slab: ArrayBuffer
  readonly records: ArrayBuffer
  readonly taken: ArrayBuffer
  readonly staging: ArrayBuffer
  readonly stride: number
  /** Number of this thread's event loop in `hostWatch()`. */
  readonly loop: number
  readonly slots: number
  readonly homeSlots: number
  readonly homeOffsets: number[]
  readonly info: string
}

export interface NativeAddon {
  readonly version: string
  configure(options: { onnxruntimeLibrary: string; jpegLibrary: string; tensorrtFolder: string }): void
  engines(libraries?: {
    readonly [engine: string]: string
  }): (NativeStatus & { name: string; version: string; library: string })[]
  /** Asks the CUDA driver, which it starts. `driver`: 13000 is CUDA 13.0; 0 where there is none. */
  cudaDevices?(): NativeStatus & {
    driver: number
    devices: { ordinal: number; name: string; uuid: string; compute: string; memoryBytes: number }[]
  }
  cpus(): { online: number; affinity: number; quota: number; used: number; throttled: number }
  /** What the watching thread saw; src/flight/decode.ts reads it. `now` as all times there: nanoseconds. */
  hostWatch(): { now: number; late: Float64Array; stalls: Float64Array; samples: Float64Array }
  layout(): Record<string, number> & { datatypes: string[] }
  /** `level`: 0 error, 1 warning, 2 info, 3 verbose. */
  onEngineLog(listener: (engine: string, level: number, source: string, message: string) => void): void
  openModel(options: object): Promise<NativeModelHandle | NativeStatus>
  /** What batches of each size take, measured with zeros, as text for `latencyTable`; '' where that cannot be done. */
  measureLatencies?(handle: object, maxBatchSize: number, filled: boolean): Promise<string | NativeStatus>
  createPort(handle: object, options: object, onWake: () => void): NativePort | NativeStatus
  /** A timer of this event loop that is exact to the kernel's: src/profile/pacer.ts. A number: the errno. */
  loopTimer?(onDue: () => void): { arm(microseconds: number): void; close(): void } | number
  /** Locks an open file until it is closed or the process ends: 0, or the errno. */
  lockFile?(descriptor: number): number
  /** A control call of an engine, on a thread of its own. */
  engineCall?(engine: string, method: string, args: readonly (string | Uint8Array)[]): Promise<string | NativeStatus>
  /**
   * Pixels of a JPEG, or why there are none in words; undefined where libjpeg-turbo is not installed. `numbers` as
   * native/node/picture_call.h says: src/image/jpeg.ts.
   */
  decodeJpeg?(bytes: Uint8Array, numbers: Float64Array): Promise<ArrayBuffer | string> | undefined
  /** src/cli/simulation.ts has the types of both texts. */
  simulate?(options: string): Promise<string | NativeStatus>
  attachPort(id: string, onWake: () => void): NativePort | NativeStatus
}

/** Throws when a native call answered with a status. */
export function succeeded<T extends object>(result: T | NativeStatus): T {
  if ('status' in result && typeof result.status === 'number') {
    throw errorFromNative(result.status, (result as NativeStatus).message)
  }
  return result as T
}

let loaded: { addon: NativeAddon; path: string } | undefined

/** The addon, loaded on first use, so that importing subten never fails. */
export function addon(): NativeAddon {
  return load().addon
}

export function addonPath(): string {
  return load().path
}

function load(): { addon: NativeAddon; path: string } {
  if (loaded) return loaded
  const where = installed()
  let path = ''
  try {
    path = addonFile(where)
    const native = createRequire(ownFile())(path) as NativeAddon
    native.configure({
      onnxruntimeLibrary: onnxruntimeFile(where),
      jpegLibrary: jpegFile(where),
      tensorrtFolder: tensorrtFolder(where),
    })
    loaded = { addon: native, path }
    return loaded
  } catch (cause) {
    throw noAddon(where, path, cause)
  }
}
