import { SubtenError } from '../runtime/errors.js'
import { nearestEven } from '../runtime/half.js'
import type { ImageSpec } from './image-spec.js'

export interface Box {
  readonly left: number
  readonly top: number
  readonly width: number
  readonly height: number
}

/** How a picture is brought to the size of the tensor. */
export interface Geometry {
  /** To what it is resized, whatever its aspect. */
  readonly width: number
  readonly height: number
  /** What is then cut out of it; undefined: all. */
  readonly crop: Box | undefined
  /** Where that goes in the tensor; what is beside it has the colour of the ground. */
  readonly place: Box
}

/** Longest side of a resized picture, which libvips makes line by line. */
const LONGEST = 1_000_000

/**
 * Sizes and places for a picture of `width` × `height` pixels, after it was turned as its EXIF says.
 *
 * `resize` to a shorter side is that of torchvision (`Resize`, then `CenterCrop`): the longer side is rounded down, the
 * middle is the nearest whole pixel, a half going to the even one. `contain` rounds to the nearest pixel and puts the
 * odd one to the right and below.
 *
 * @throws SubtenError INVALID_INPUT where a picture is so long and thin that its longer side had more than a million pixels
 */
export function geometryOf(spec: ImageSpec, width: number, height: number): Geometry {
  const whole = { left: 0, top: 0, width: spec.width, height: spec.height }
  if (spec.resize !== undefined) {
    const to = typeof spec.resize === 'number' ? shorterSide(spec.resize, width, height) : pair(spec.resize)
    const left = nearestEven((to.width - spec.width) / 2)
    const top = nearestEven((to.height - spec.height) / 2)
    return { ...to, crop: { ...whole, left, top }, place: whole }
  }
  if (spec.fit === 'contain') {
    const factor = Math.min(spec.width / width, spec.height / height)
    const inner = {
      width: Math.min(spec.width, Math.max(1, Math.round(width * factor))),
      height: Math.min(spec.height, Math.max(1, Math.round(height * factor))),
    }
    const left = Math.floor((spec.width - inner.width) / 2)
    const top = Math.floor((spec.height - inner.height) / 2)
    return { ...inner, crop: undefined, place: { left, top, ...inner } }
  }
  return { width: spec.width, height: spec.height, crop: undefined, place: whole }
}

function pair([height, width]: readonly [number, number]): { width: number; height: number } {
  return { width, height }
}

function shorterSide(side: number, width: number, height: number): { width: number; height: number } {
  const longer = Math.max(width, height)
  const shorter = Math.min(width, height)
  const length = Math.floor((side * longer) / shorter)
  if (length > LONGEST) {
    throw new SubtenError('INVALID_INPUT', `a picture of ${width} × ${height} pixels is too long and thin`, {
      remedy: `Its longer side would have ${length} pixels when its shorter one has ${side}: cut it first.`,
    })
  }
  return width <= height ? { width: side, height: length } : { width: length, height: side }
}
