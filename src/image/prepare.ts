import sharp, { type Sharp } from 'sharp'
import { SubtenError } from '../runtime/errors.js'
import { WrittenInput } from '../runtime/inputs.js'
import type { TensorSpec } from '../runtime/types.js'
import { DECODE_LIMITS, type DecodeLimits, opened, pixelsOf, refusal } from './decode.js'
import { DECODES_AT_ONCE, DecodeGate, type Patience } from './decode-gate.js'
import { sniff, unknownFormat } from './formats.js'
import { type Geometry, geometryOf } from './geometry.js'
import type { ImageSpec } from './image-spec.js'
import { squareOfInk, whiteOnBlack } from './ink.js'
import { type FittedPicture, plainJpeg } from './jpeg.js'
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

/** The picture at its place in the tensor. */
async function fitted(bytes: Uint8Array, spec: ImageSpec, limits: DecodeLimits): Promise<FittedPicture> {
  try {
    if (spec.fit === 'ink' || spec.polarity !== 'any') return await afterALook(bytes, spec, limits)
    return (await plainJpeg(bytes, spec, limits)) ?? (await atOnce(bytes, spec, limits))
  } catch (cause) {
    throw refusal(cause, limits)
  }
}

/** Decoding and resizing in one pipeline, of which no whole picture needs to be in memory. */
async function atOnce(bytes: Uint8Array, spec: ImageSpec, limits: DecodeLimits): Promise<FittedPicture> {
  const pipeline = opened(bytes, limits)
  // Asked for only where it matters: it costs the event loop a quarter of what the pipeline does.
  const size = needsSize(spec) ? (await pipeline.metadata()).autoOrient : { width: spec.width, height: spec.height }
  const geometry = geometryOf(spec, size.width, size.height)
  // libvips shrinks nothing while it decodes if something is cut out first.
  if (!spec.shrinkOnLoad) pipeline.extract({ left: 0, top: 0, ...size })
  const picture = await pixelsOf(resized(pipeline, spec, geometry), spec.channels, spec.ground)
  return { picture, place: geometry.place }
}

/** Whether the size of a picture decides to what it is resized. */
function needsSize({ resize, fit, shrinkOnLoad }: ImageSpec): boolean {
  return typeof resize === 'number' || fit === 'contain' || !shrinkOnLoad
}

/** Longest side of a picture that is looked at on the event loop, which takes about 20 ns a pixel. */
const LOOKED_AT = 1024

/**
 * Where polarity or the drawing have to be found out first: all of the picture is decoded and looked at. A large one is
 * shrunk before, to at least twice the tensor's size, or looking at it would stop everything else.
 */
async function afterALook(bytes: Uint8Array, spec: ImageSpec, limits: DecodeLimits): Promise<FittedPicture> {
  const pipeline = opened(bytes, limits)
  const side = Math.max(LOOKED_AT, 2 * spec.width, 2 * spec.height)
  if (spec.shrinkOnLoad) {
    pipeline.resize(side, side, { fit: 'inside', withoutEnlargement: true, kernel: 'linear' })
  }
  const seen = await pixelsOf(pipeline, spec.channels, spec.ground)
  const upright = spec.polarity === 'white-on-black' ? whiteOnBlack(seen) : seen
  const cut = spec.fit === 'ink' ? squareOfInk(upright, spec.margin, spec.threshold) : upright
  const { data, width, height, channels } = cut
  const geometry = geometryOf(spec, width, height)
  if (width === spec.width && height === spec.height) return { picture: cut, place: geometry.place }
  const raw = sharp(data, { raw: { width, height, channels } })
  const small = resized(channels === 1 ? raw.toColourspace('b-w') : raw, spec, geometry)
  return { picture: await pixelsOf(small, channels, spec.ground), place: geometry.place }
}

function resized(pipeline: Sharp, spec: ImageSpec, { width, height, crop }: Geometry): Sharp {
  const fit = spec.fit === 'cover' && spec.resize === undefined ? 'cover' : 'fill'
  pipeline.resize(width, height, { fit, kernel: spec.kernel })
  return crop === undefined ? pipeline : pipeline.extract(crop)
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
