import type { Picture } from './picture.js'

/** Inverts a picture whose border is mostly bright: drawings rarely touch it, so the border is background. */
export function whiteOnBlack(picture: Picture): Picture {
  if (borderMedian(picture) <= 127.5) return picture
  return { ...picture, data: picture.data.map((v) => 255 - v) }
}

/** The median brightness of the outermost pixels. */
function borderMedian({ data, width, height, channels }: Picture): number {
  const counts = new Uint32Array(256)
  let total = 0
  const count = (x: number, y: number): void => {
    let sum = 0
    for (let c = 0; c < channels; c++) sum += data[(y * width + x) * channels + c] as number
    const level = Math.round(sum / channels)
    counts[level] = (counts[level] as number) + 1
    total++
  }
  for (let x = 0; x < width; x++) {
    count(x, 0)
    if (height > 1) count(x, height - 1)
  }
  for (let y = 1; y < height - 1; y++) {
    count(0, y)
    if (width > 1) count(width - 1, y)
  }
  let seen = 0
  for (let level = 0; level < 256; level++) {
    seen += counts[level] as number
    if (seen * 2 >= total) return level
  }
  return 0
}

/**
 * Cuts out what is drawn (pixels of at least `threshold` of the brightest) and centres it in a black square with
 * `margin` of its longer side on each side. A picture without any ink is centred whole.
 */
export function squareOfInk(picture: Picture, margin: number, threshold: number): Picture {
  const { data, width, channels } = picture
  const box = inkBox(picture, threshold)
  const side = Math.max(1, Math.round(Math.max(box.width, box.height) * (1 + 2 * margin)))
  const left = Math.floor((side - box.width) / 2)
  const top = Math.floor((side - box.height) / 2)
  const square = new Uint8Array(side * side * channels)
  for (let y = 0; y < box.height; y++) {
    const from = ((box.top + y) * width + box.left) * channels
    square.set(data.subarray(from, from + box.width * channels), ((top + y) * side + left) * channels)
  }
  return { data: square, width: side, height: side, channels }
}

function inkBox(picture: Picture, threshold: number): { left: number; top: number; width: number; height: number } {
  const { data, width, height, channels } = picture
  let brightest = 0
  for (let i = 0; i < data.length; i++) if ((data[i] as number) > brightest) brightest = data[i] as number
  const least = Math.max(1, threshold * brightest)
  let left = width
  let right = -1
  let top = height
  let bottom = -1
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      let ink = false
      for (let c = 0; c < channels; c++) ink = (data[i++] as number) >= least || ink
      if (!ink) continue
      if (x < left) left = x
      if (x > right) right = x
      if (y < top) top = y
      bottom = y
    }
  }
  if (right < 0) return { left: 0, top: 0, width, height }
  return { left, top, width: right - left + 1, height: bottom - top + 1 }
}
