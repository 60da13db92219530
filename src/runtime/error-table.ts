/** One row of the error table: what a code means, how protocols map it, and what a user does about it. */
export interface ErrorEntry {
  /** HTTP status that front ends answer with. */
  readonly http: number
  /** gRPC status code number (grpc/doc/statuscodes.md). */
  readonly grpc: number
  /** What the code means, one sentence. */
  readonly meaning: string
  /** What to do when no more specific advice is known. */
  readonly remedy: string
}

/** Every error code of subten. The CLI (`subten explain`), the HTTP layer and the docs all read this table. */
export const ERROR_TABLE = {
  INVALID_INPUT: {
    http: 400,
    grpc: 3,
    meaning: 'A tensor of the request is unknown, missing, or has the wrong shape, datatype or length.',
    remedy: 'Compare the request with model.inputs (or `subten inspect MODEL`) and correct the named tensor.',
  },
  BATCH_TOO_LARGE: {
    http: 400,
    grpc: 3,
    meaning: 'The request carries more rows than the model takes in one batch.',
    remedy: 'Send at most model.maxBatchSize rows in a request, or use inferMany().',
  },
  QUEUE_FULL: {
    http: 503,
    grpc: 8,
    meaning: 'The queue of the model, or its memory, is full; the request was refused at once.',
    remedy: "Slow the caller down, raise maxQueueSize or memoryMb, or load with whenFull: 'wait'.",
  },
  DEADLINE_EXCEEDED: {
    http: 504,
    grpc: 4,
    meaning: 'The deadline of the request, or the queue timeout of the model, passed while it was queued.',
    remedy: 'Give the request more time, send less load, or add instances to the model.',
  },
  SLO_UNREACHABLE: {
    http: 503,
    grpc: 8,
    meaning: 'The request was refused at the door because it is predicted to miss its deadline.',
    remedy: 'Retry elsewhere or later, or give the request a longer deadline.',
  },
  MODEL_NOT_FOUND: {
    http: 404,
    grpc: 5,
    meaning: 'There is no model at this path or of this name, or no such version of it.',
    remedy: 'Check the path and the version; `subten doctor` lists what a repository holds.',
  },
  MODEL_INVALID: {
    http: 422,
    grpc: 9,
    meaning: 'The model file cannot be loaded: it is corrupt, truncated or uses something the engine lacks.',
    remedy: 'Export the model again and check it with `subten inspect MODEL`.',
  },
  MODEL_CLOSED: {
    http: 503,
    grpc: 14,
    meaning: 'The model was closed; it takes no more requests.',
    remedy: 'Load the model again, or stop sending requests before close().',
  },
  CONFIG_INVALID: {
    http: 422,
    grpc: 9,
    meaning:
      'A setting in config.pbtxt, in an SLA contract or in the options is unknown, has the wrong type, or contradicts another.',
    remedy: 'Correct the field that the message names.',
  },
  ENGINE_NOT_FOUND: {
    http: 503,
    grpc: 14,
    meaning: 'The library of the engine that this model needs is not installed or cannot be loaded.',
    remedy: 'Install the package the message names; `subten doctor` shows where it was looked for.',
  },
  ENGINE_VERSION: {
    http: 503,
    grpc: 14,
    meaning: 'The library of the engine was found, but its version is not one that subten can drive.',
    remedy: 'Install the version that the message names.',
  },
  ENGINE_FAILED: {
    http: 500,
    grpc: 13,
    meaning: 'The engine reported an error while it ran a batch; every request of that batch gets it.',
    remedy: 'Read the message of the engine; the model refused this input or its graph failed at run time.',
  },
  OUT_OF_MEMORY: {
    http: 507,
    grpc: 8,
    meaning: 'The tensors of one request do not fit in the memory of the model, or the system has none left.',
    remedy: 'Raise memoryMb, or send smaller requests.',
  },
  SLOT_RELEASED: {
    http: 500,
    grpc: 9,
    meaning: 'A slot, or a view on its memory, was used after the slot had been released.',
    remedy: 'Copy what you need before the slot is released, and claim a new slot for the next request.',
  },
  NOT_SUPPORTED: {
    http: 501,
    grpc: 12,
    meaning: 'This model, engine or version of subten cannot do what was asked.',
    remedy: 'Use another engine or method; the message names what works.',
  },
  UNSUPPORTED_PLATFORM: {
    http: 500,
    grpc: 12,
    meaning: 'There is no native addon for this operating system, processor or runtime.',
    remedy:
      'Run on Linux x64 or arm64 with glibc 2.28 or newer and Node 20.20 or newer, or build the addon from source.',
  },
} as const satisfies Record<string, ErrorEntry>

/** A stable error code; see {@link ERROR_TABLE}. */
export type ErrorCode = keyof typeof ERROR_TABLE

/**
 * The codes in the order of `subten::Code` (native/memory/status.h, after `kOk`). A test holds the two together.
 */
export const NATIVE_CODES: readonly ErrorCode[] = Object.keys(ERROR_TABLE) as ErrorCode[]
