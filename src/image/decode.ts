import sharp from 'sharp'
import { SubtenError } from '../runtime/errors.js'

/** Pixels in rows from the top, 1 (grey) or 3 (RGB) bytes each. */
export interface Picture {
  readonly data: Uint8Array
  readonly width: number
  readonly height: number
  readonly channels: 1 | 3
}

export interface DecodeLimits {
  /** Width × height; 16 million by default. */
  readonly maxPixels: number
  /** Seconds; 5 by default. */
  readonly timeoutSeconds: number
}

export const DECODE_LIMITS: DecodeLimits = { maxPixels: 16_000_000, timeoutSeconds: 5 }

/** The format by its first bytes: what a client says of it is not asked. */
export function sniff(bytes: Uint8Array): 'png' | 'jpeg' | undefined {
  const starts = (...magic: number[]): boolean => magic.every((byte, i) => bytes[i] === byte)
  if (starts(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a)) return 'png'
  if (starts(0xff, 0xd8, 0xff)) return 'jpeg'
  return undefined
}

/**
 * Decodes a PNG or JPEG to grey or RGB. Strokes on a transparent ground are put on the ground that shows them: black
 * under bright strokes, white under dark ones. Throws INVALID_INPUT for anything else, damaged or too large.
 */
export async function decode(bytes: Uint8Array, channels: 1 | 3, limits = DECODE_LIMITS): Promise<Picture> {
  if (sniff(bytes) === undefined) {
    throw new SubtenError('INVALID_INPUT', 'the body is neither a PNG nor a JPEG picture', {
      remedy: 'Send the bytes of one PNG or JPEG file as the body.',
      details: { http: 415 },
    })
  }
  try {
    const { data, info } = await sharp(bytes, {
      limitInputPixels: limits.maxPixels,
      failOn: 'error',
      sequentialRead: true,
      pages: 1,
      animated: false,
    })
      .timeout({ seconds: limits.timeoutSeconds })
      .autoOrient()
      .toColourspace('srgb')
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true })
    return toPicture(data, info.width, info.height, info.channels, channels)
  } catch (cause) {
    throw refusal(cause, limits)
  }
}

function toPicture(raw: Uint8Array, width: number, height: number, from: number, channels: 1 | 3): Picture {
  const pixels = width * height
  if (from === channels) return { data: raw, width, height, channels }
  const opaque = from === 4 ? flatten(raw, pixels) : raw
  const step = from === 4 ? 3 : from
  if (step === channels) return { data: opaque, width, height, channels }
  const data = new Uint8Array(pixels * channels)
  for (let i = 0; i < pixels; i++) {
    const r = opaque[i * step] as number
    const g = step === 1 ? r : (opaque[i * step + 1] as number)
    const b = step === 1 ? r : (opaque[i * step + 2] as number)
    if (channels === 1) data[i] = Math.round(luma(r, g, b))
    else data.set([r, g, b], i * 3)
  }
  return { data, width, height, channels }
}

function luma(r: number, g: number, b: number): number {
  return 0.299 * r + 0.587 * g + 0.114 * b
}

/** RGBA to RGB on black, or on white where the visible strokes are dark and most of the picture is transparent. */
function flatten(rgba: Uint8Array, pixels: number): Uint8Array {
  let visible = 0
  let brightness = 0
  for (let i = 0; i < rgba.length; i += 4) {
    const alpha = rgba[i + 3] as number
    visible += alpha
    brightness += alpha * luma(rgba[i] as number, rgba[i + 1] as number, rgba[i + 2] as number)
  }
  const ground = visible > 0 && brightness / visible < 128 ? 255 : 0
  const rgb = new Uint8Array(pixels * 3)
  for (let i = 0, o = 0; i < rgba.length; i += 4) {
    const alpha = (rgba[i + 3] as number) / 255
    for (let c = 0; c < 3; c++) rgb[o++] = Math.round((rgba[i + c] as number) * alpha + ground * (1 - alpha))
  }
  return rgb
}

function tooManyPixels(limits: DecodeLimits): SubtenError {
  return new SubtenError('INVALID_INPUT', `the picture has more than ${limits.maxPixels} pixels`, {
    remedy: 'Send a smaller picture.',
    details: { http: 413 },
  })
}

function refusal(cause: unknown, limits: DecodeLimits): SubtenError {
  const text = cause instanceof Error ? cause.message : ''
  if (/pixel limit/i.test(text)) return tooManyPixels(limits)
  if (/timeout/i.test(text)) {
    return new SubtenError('INVALID_INPUT', `the picture took more than ${limits.timeoutSeconds} s to decode`, {
      cause,
    })
  }
  return new SubtenError('INVALID_INPUT', 'the picture is damaged or incomplete', {
    remedy: 'Send a complete PNG or JPEG file.',
    cause,
  })
}
