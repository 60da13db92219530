import { addon, type NativeAddon } from '../runtime/binding.js'
import { type Geometry, geometryOf } from './geometry.js'
import type { ImageSpec } from './image-spec.js'
import { type JpegHeader, jpegHeader } from './jpeg-header.js'
import { type DecodeLimits, type Picture, toPicture } from './picture.js'

/** `Kernel` of native/image/resample.h; 'nearest' is left to libvips. */
const KERNELS = ['linear', 'cubic', 'mitchell', 'lanczos2', 'lanczos3']

export interface FittedPicture {
  readonly picture: Picture
  readonly place: Geometry['place']
}

/** One axis of the resized picture: pixel i is centred at origin + (i + 0.5) × shrink of the decoded one. */
interface Axis {
  /** Pixels that the decoded picture has along it. */
  readonly source: number
  readonly origin: number
  readonly shrink: number
  readonly length: number
}

/**
 * A plain JPEG at the size that `spec` wants, decoded by libjpeg-turbo and resized without libvips, whose pipeline costs a
 * small picture five times as much. Plain: baseline, grey or YCbCr in sRGB, and not smaller than what it becomes.
 * Everything else is undefined, and so is what turns out to be damaged: that is for libvips to say.
 */
export async function plainJpeg(
  bytes: Uint8Array,
  spec: ImageSpec,
  limits: DecodeLimits,
): Promise<FittedPicture | undefined> {
  const kernel = KERNELS.indexOf(spec.kernel)
  const header = jpegHeader(bytes)
  const decode = decoder()
  if (header === undefined || kernel < 0 || !isPlain(header) || !decode) return undefined
  const { width, height, orientation } = header
  if (width * height > limits.maxPixels) return undefined
  const [uprightWidth, uprightHeight] = orientation >= 5 ? [height, width] : [width, height]
  const geometry = geometryOf(spec, uprightWidth, uprightHeight)
  const upright = axesOf(spec, geometry, uprightWidth, uprightHeight)
  if (upright === undefined) return undefined
  const { scale } = upright
  const { x, y } = asInFile(upright, orientation)
  const channels = header.components === 1 && spec.channels === 1 ? 1 : 3
  const axes = [x, y].flatMap(({ origin, shrink, length }) => [origin, shrink, length])
  const numbers = [width, height, channels, scale, kernel, ...axes, orientation]
  const pixels = await decode(bytes, Float64Array.from(numbers))
  if (pixels === undefined || typeof pixels === 'string') return undefined
  const [columns, rows] = [upright.x.length, upright.y.length]
  const picture = toPicture(new Uint8Array(pixels), columns, rows, channels, spec.channels, spec.ground)
  return { picture, place: geometry.place }
}

let found: NativeAddon['decodeJpeg'] | null

/** Native code's; null where there is none, for a model of `subten/testing` needs none. */
function decoder(): NativeAddon['decodeJpeg'] | null {
  if (found !== undefined) return found
  try {
    found = addon().decodeJpeg ?? null
  } catch {
    found = null
  }
  return found
}

function isPlain({ width, height, baseline, components, orientation, profile, adobe }: JpegHeader): boolean {
  const colours = components === 1 || components === 3
  return width > 0 && height > 0 && baseline && colours && orientation > 0 && !profile && !adobe
}

/** The axes of what is cut out of the resized picture, as sharp has them; undefined where it were enlarged. */
function axesOf(
  spec: ImageSpec,
  { width: toWidth, height: toHeight, crop }: Geometry,
  width: number,
  height: number,
): { x: Axis; y: Axis; scale: number } | undefined {
  const covers = spec.fit === 'cover' && spec.resize === undefined
  const factors = (of: number, across: number): [number, number] => {
    const x = of / toWidth
    const y = across / toHeight
    return covers ? [Math.min(x, y), Math.min(x, y)] : [x, y]
  }
  const scale = spec.shrinkOnLoad ? scaleFor(Math.min(...factors(width, height))) : 1
  // libvips leaves out the last column and row where they stand for less than the others.
  const columns = Math.max(1, Math.floor(width / scale))
  const rows = Math.max(1, Math.floor(height / scale))
  const [byX, byY] = factors(columns, rows)
  if (byX < 1 || byY < 1) return undefined
  return {
    x: axis(columns, byX, covers ? Math.round(columns / byX) : toWidth, crop?.left, spec.width, covers),
    y: axis(rows, byY, covers ? Math.round(rows / byY) : toHeight, crop?.top, spec.height, covers),
    scale,
  }
}

/** The axes of an upright picture as those of the file, which native code turns back. */
function asInFile({ x, y }: { x: Axis; y: Axis }, orientation: number): { x: Axis; y: Axis } {
  const mirrored = (axis: Axis): Axis => ({ ...axis, origin: axis.source - axis.origin - axis.length * axis.shrink })
  const [across, down] = orientation >= 5 ? [y, x] : [x, y]
  return {
    x: [2, 3, 7, 8].includes(orientation) ? mirrored(across) : across,
    y: [3, 4, 6, 7].includes(orientation) ? mirrored(down) : down,
  }
}

/** `whole` pixels of the resized picture lie around the middle of `source`; of them `wanted`, from `from` on. */
function axis(
  source: number,
  shrink: number,
  whole: number,
  from: number | undefined,
  wanted: number,
  covers: boolean,
): Axis {
  const length = covers || from !== undefined ? wanted : whole
  const start = from ?? Math.floor((whole - length + 1) / 2)
  return { source, origin: (source - whole * shrink) / 2 + start * shrink, shrink, length }
}

/** What a JPEG is decoded at one over of, to be at least as large as wanted: sharp's rule, with room for rounding. */
function scaleFor(shrink: number): number {
  return [8, 4, 2].find((scale) => shrink >= scale + 1) ?? 1
}
