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

/** Pixels of any number of channels as grey or RGB. */
export function toPicture(
  raw: Uint8Array,
  width: number,
  height: number,
  from: number,
  channels: 1 | 3,
  ground: 'auto' | readonly number[],
): Picture {
  if (from === channels) return { data: raw, width, height, channels }
  const pixels = width * height
  const opaque = from === 4 || from === 2 ? flatten(raw, from, ground) : raw
  const step = from === 1 ? 1 : 3
  if (step === channels) return { data: opaque, width, height, channels }
  const data = new Uint8Array(pixels * channels)
  for (let i = 0; i < pixels; i++) {
    const r = opaque[i * step] as number
    const g = step === 1 ? r : (opaque[i * step + 1] as number)
    const b = step === 1 ? r : (opaque[i * step + 2] as number)
    if (channels === 1) {
      data[i] = Math.round(luma(r, g, b))
    } else {
      data[3 * i] = r
      data[3 * i + 1] = g
      data[3 * i + 2] = b
    }
  }
  return { data, width, height, channels }
}

/** Brightness as ITU-R BT.601 has it, and Pillow's mode `L`. */
export function luma(r: number, g: number, b: number): number {
  return 0.299 * r + 0.587 * g + 0.114 * b
}

/**
 * Pixels with alpha (2 or 4 bytes) to RGB on a ground. 'auto': black, or white where the visible strokes are dark, so that
 * strokes on a transparent ground stay visible.
 */
function flatten(from: Uint8Array, step: 2 | 4, ground: 'auto' | readonly number[]): Uint8Array {
  const [g, b] = step === 4 ? [1, 2] : [0, 0]
  const [under0 = 0, under1 = under0, under2 = under0] =
    ground === 'auto' ? [darkStrokes(from, step) ? 255 : 0] : ground
  const rgb = new Uint8Array((from.length / step) * 3)
  for (let i = 0, o = 0; i < from.length; i += step, o += 3) {
    const alpha = (from[i + step - 1] as number) / 255
    rgb[o] = Math.round((from[i] as number) * alpha + under0 * (1 - alpha))
    rgb[o + 1] = Math.round((from[i + g] as number) * alpha + under1 * (1 - alpha))
    rgb[o + 2] = Math.round((from[i + b] as number) * alpha + under2 * (1 - alpha))
  }
  return rgb
}

/** Whether what is visible is dark on average. */
function darkStrokes(from: Uint8Array, step: 2 | 4): boolean {
  const [g, b] = step === 4 ? [1, 2] : [0, 0]
  let visible = 0
  let brightness = 0
  for (let i = 0; i < from.length; i += step) {
    const alpha = from[i + step - 1] as number
    visible += alpha
    brightness += alpha * luma(from[i] as number, from[i + g] as number, from[i + b] as number)
  }
  return visible > 0 && brightness / visible < 128
}
