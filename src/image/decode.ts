import sharp, { type Sharp } from 'sharp'
import { SubtenError } from '../runtime/errors.js'
import { type DecodeLimits, type Picture, toPicture } from './picture.js'

/**
 * libvips's pipeline over the bytes of a PNG, JPEG or WebP: the first picture of an animation, turned as its EXIF says,
 * in sRGB. Nothing is decoded before its result is asked for.
 */
export function opened(bytes: Uint8Array, limits: DecodeLimits): Sharp {
  return sharp(bytes, { limitInputPixels: limits.maxPixels, failOn: 'error', sequentialRead: true, pages: 1 })
    .timeout({ seconds: limits.timeoutSeconds })
    .autoOrient()
    .toColourspace('srgb')
}

/** Runs a pipeline to 8-bit grey or RGB pixels, what is transparent put on `ground`. */
export async function pixelsOf(pipeline: Sharp, channels: 1 | 3, ground: 'auto' | readonly number[]): Promise<Picture> {
  const { data, info } = await pipeline.raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true })
  return toPicture(data, info.width, info.height, info.channels, channels, ground)
}

/** What libvips said of a picture, in our words. */
export function refusal(cause: unknown, limits: DecodeLimits): SubtenError {
  if (cause instanceof SubtenError) return cause
  const text = cause instanceof Error ? cause.message : ''
  if (/pixel limit/i.test(text)) {
    return new SubtenError('INVALID_INPUT', `the picture has more than ${limits.maxPixels} pixels`, {
      remedy: 'Send a smaller picture.',
      details: { http: 413 },
    })
  }
  if (/timeout/i.test(text)) {
    return new SubtenError('INVALID_INPUT', `the picture took more than ${limits.timeoutSeconds} s to decode`, {
      cause,
    })
  }
  return new SubtenError('INVALID_INPUT', 'the picture is damaged or incomplete', {
    remedy: 'Send a complete PNG, JPEG or WebP file.',
    cause,
  })
}
