import { SubtenError } from '../runtime/errors.js'
import type { Classification, ClassifyOptions, ClassifyTiming, Inputs, Model, Outputs } from '../runtime/types.js'
import { imageInputOf, imageSpecOf } from './image-spec.js'
import { DECODE_LIMITS } from './picture.js'
import { type PreparedPicture, preparePicture } from './prepare.js'
import { ranked, scoresOutput } from './rank.js'

/** What the handle of a model does for a picture beside `infer`. */
export interface ClassifyHooks {
  /** Milliseconds that the request has from now; below 0: as many as it takes. */
  readonly budgetMs: number
  /** Counts a request whose deadline passed before the model had it. */
  readonly countExpired: () => void
}

/**
 * The classes of a picture: decoded and resized off the event loop, written into the memory of the request, run, ranked.
 * The model has the request only once the pixels are there, so that a slow picture keeps no slot from others, and each
 * slot is given back as that of any other request is.
 *
 * @throws as `Model.classify` says
 */
export async function classifyPicture(
  model: Model,
  given: Uint8Array | ArrayBuffer,
  options: ClassifyOptions,
  hooks: ClassifyHooks,
): Promise<Classification> {
  const started = performance.now()
  const { topK = 5, maxPixels = DECODE_LIMITS.maxPixels, ...request } = options
  if (!(Number.isInteger(topK) && topK >= 1)) throw wrong('topK', 'a whole number from 1', topK)
  if (!(Number.isInteger(maxPixels) && maxPixels >= 1)) throw wrong('maxPixels', 'a whole number from 1', maxPixels)
  const bytes = bytesOf(given)
  request.signal?.throwIfAborted()
  const spec = imageSpecOf(model)
  const tensor = imageInputOf(model)
  const output = scoresOutput(model)
  if (output === undefined) {
    throw new SubtenError('NOT_SUPPORTED', `model ${JSON.stringify(model.name)} has no output with scores`)
  }
  const until = hooks.budgetMs < 0 ? Number.POSITIVE_INFINITY : started + hooks.budgetMs
  let picture: PreparedPicture
  try {
    const limits = { ...DECODE_LIMITS, maxPixels }
    picture = await preparePicture(bytes, spec, tensor, limits, { signal: request.signal, until })
  } catch (error) {
    if (error instanceof SubtenError && error.code === 'DEADLINE_EXCEEDED') hooks.countExpired()
    throw error
  }
  const inputs: Record<string, Inputs[string]> = Object.create(null)
  inputs[tensor.name] = picture.input.value
  // What decoding took is gone from the budget.
  if (hooks.budgetMs >= 0) request.deadlineMs = Math.max(0, until - performance.now())
  const outputs = await model.infer(inputs, request)
  return withTiming(
    { model: model.name, version: model.version, top: ranked(model, output, outputs, topK) },
    outputs,
    picture,
  )
}

function bytesOf(given: unknown): Uint8Array {
  const bytes = ArrayBuffer.isView(given)
    ? new Uint8Array(given.buffer, given.byteOffset, given.byteLength)
    : given instanceof ArrayBuffer || given instanceof SharedArrayBuffer
      ? new Uint8Array(given)
      : undefined
  if (bytes === undefined) throw wrong('the picture', 'its bytes: a Uint8Array, a Buffer or an ArrayBuffer', given)
  if (bytes.length === 0) {
    throw new SubtenError('INVALID_INPUT', 'the picture has no bytes', {
      remedy: 'Give the bytes of one PNG, JPEG or WebP file.',
    })
  }
  // libvips takes no shared memory, which might change while it reads.
  return bytes.buffer instanceof SharedArrayBuffer ? bytes.slice() : bytes
}

function wrong(what: string, needs: string, given: unknown): SubtenError {
  const shown = typeof given === 'number' ? String(given) : given === null ? 'null' : `a ${typeof given}`
  return new SubtenError('INVALID_INPUT', `${what} must be ${needs}, not ${shown}`)
}

/** As on the result of `infer`, `timing` does not show in JSON. */
function withTiming(result: Classification, outputs: Outputs, picture: PreparedPicture): Classification {
  if (outputs.servedBy !== undefined && typeof outputs.servedBy === 'string') {
    Object.defineProperty(result, 'servedBy', { value: outputs.servedBy, enumerable: false })
  }
  const { timing } = outputs
  if (timing === undefined || !('toServerTiming' in timing)) return result
  const decode = picture.decodeMs * 1000
  const preprocess = picture.writeMs * 1000
  const own: ClassifyTiming = {
    ...timing,
    decode,
    preprocess,
    toServerTiming: () => {
      const stages = `decode;dur=${milliseconds(decode)}, preprocess;dur=${milliseconds(preprocess)}`
      return `${stages}, ${timing.toServerTiming()}`
    },
  }
  Object.defineProperty(result, 'timing', { value: own, enumerable: false })
  return result
}

function milliseconds(us: number): number {
  return Number((us / 1000).toFixed(4))
}
