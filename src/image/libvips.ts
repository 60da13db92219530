import sharp, { type Sharp } from 'sharp'
import { opened, pixelsOf, refusal } from './decode.js'
import { type Geometry, geometryOf } from './geometry.js'
import type { ImageSpec } from './image-spec.js'
import { squareOfInk, whiteOnBlack } from './ink.js'
import type { FittedPicture } from './jpeg.js'
import type { DecodeLimits } from './picture.js'

/**
 * Any picture at its place in the tensor, by libvips.
 *
 * @throws SubtenError INVALID_INPUT: too many pixels (`details.http` 413), damaged, too slow
 */
export async function byLibvips(bytes: Uint8Array, spec: ImageSpec, limits: DecodeLimits): Promise<FittedPicture> {
  try {
    return await (spec.fit === 'ink' || spec.polarity !== 'any'
      ? afterALook(bytes, spec, limits)
      : atOnce(bytes, spec, limits))
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
