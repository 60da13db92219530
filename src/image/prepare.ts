import { SubtenError } from '../runtime/errors.js'
import { WrittenInput } from '../runtime/inputs.js'
import type { TensorSpec } from '../runtime/types.js'
import { DECODES_AT_ONCE, DecodeGate, type Patience } from './decode-gate.js'
import { sniff, unknownFormat } from './formats.js'
import type { ImageSpec } from './image-spec.js'
import { type FittedPicture, plainJpeg } from './jpeg.js'
import { DECODE_LIMITS, type DecodeLimits } from './picture.js'
import { withSharp } from './with-sharp.js'
import { tableOf, writePixels } from './write-pixels.js'

/** A picture of the size that a model takes, whose values are written where the request's memory is. */
export interface PreparedPicture {
  /** One row of the model's input. */
  readonly input: WrittenInput
  /** Milliseconds until the pixels were there: waiting for room, decoding, resizing. */
  readonly decodeMs: number
  /** Milliseconds that writing took; 0 before it was done. */
  readonly writeMs: number
}

const gate = new DecodeGate(DECODES_AT_ONCE)
const FOREVER: Patience = { until: Number.POSITIVE_INFINITY }

/**
 * Decodes a picture off the event loop, brings it to the size that `spec` says, and returns what writes it as a tensor.
 * At most {@link DECODES_AT_ONCE} pictures are decoded at a time; the others wait in order. `bytes` must stay as they are
 * until then.
 *
 * @throws SubtenError INVALID_INPUT: no PNG, JPEG or WebP (`details.http` 415), too many pixels (413), damaged;
 *   NOT_SUPPORTED: the tensor cannot hold a picture; DEADLINE_EXCEEDED, QUEUE_FULL; or the signal's reason
 */
export async function preparePicture(
  bytes: Uint8Array,
  spec: ImageSpec,
  tensor: TensorSpec,
  limits: DecodeLimits = DECODE_LIMITS,
  patience: Patience = FOREVER,
): Promise<PreparedPicture> {
  const started = performance.now()
  const shape = shapeOf(spec, tensor)
  const table = tableOf(spec, tensor.datatype, tensor.name)
  if (sniff(bytes) === undefined) throw unknownFormat(bytes)
  const { picture, place } = await gate.run(() => fitted(bytes, spec, limits), patience)
  const prepared = { input: undefined as unknown as WrittenInput, decodeMs: performance.now() - started, writeMs: 0 }
  prepared.input = new WrittenInput(tensor.datatype, shape, (target) => {
    const before = performance.now()
    writePixels(picture, place, spec, table, tensor.datatype, target)
    prepared.writeMs = performance.now() - before
  })
  return prepared
}

/** The picture at its place in the tensor. sharp is loaded by the first that libjpeg-turbo alone cannot do. */
async function fitted(bytes: Uint8Array, spec: ImageSpec, limits: DecodeLimits): Promise<FittedPicture> {
  const looks = spec.fit === 'ink' || spec.polarity !== 'any'
  const plain = looks ? undefined : await plainJpeg(bytes, spec, limits)
  if (plain !== undefined) return plain
  const { byLibvips } = await withSharp(() => import('./libvips.js'))
  return byLibvips(bytes, spec, limits)
}

/** The shape of one row with the picture in it, for the tensor as the model declares it. */
function shapeOf(spec: ImageSpec, tensor: TensorSpec): number[] {
  const { channels, height, width } = spec
  const whole = spec.layout === 'NCHW' ? [channels, height, width] : [height, width, channels]
  const rank = tensor.shape.length
  const flat = channels * height * width
  if (rank > 4 || rank < 1) {
    throw new SubtenError(
      'NOT_SUPPORTED',
      `'${tensor.name}' has ${rank} dimensions; a picture has at most 4 with its batch`,
    )
  }
  // [H, W] and [N, H, W] are grey pictures without a channel dimension; [N] and [N, K] are flattened ones.
  const [first = -1] = tensor.shape
  if (rank === 4) return [1, ...whole]
  if (rank === 3) return first === -1 && channels === 1 ? [1, height, width] : whole
  if (rank === 2) return first === height && channels === 1 ? [height, width] : [1, flat]
  return [flat]
}
