// The camera: from a scene to the bytes of a JPEG. Low resolution, lens and motion blur, exposure, colour cast, noise.
import sharp from 'sharp'
import { seeded } from './random.mjs'
import { sceneOf } from './scene.mjs'

/**
 * JPEG bytes of picture `index` of the set `seed`, showing class `label`. `hardness` from 0 to 1: how small and hidden the
 * sign, how bad the light and the camera may be. The same arguments give the same picture, up to what another version of
 * the renderer rounds differently.
 */
export async function photograph(seed, index, label, hardness) {
  const random = seeded(seed, index)
  const { svg, width, height } = sceneOf(label, hardness, random)
  const quality = Math.round(random.range(35, 92))
  const pixels = await throughLens(Buffer.from(svg), width, height, hardness, random)
  expose(pixels, hardness, random)
  return sharp(pixels, { raw: { width, height, channels: 3 } })
    .jpeg({ quality, chromaSubsampling: random.chance(0.7) ? '4:2:0' : '4:4:4' })
    .toBuffer()
}

async function throughLens(svg, width, height, hardness, random) {
  let picture = sharp(svg).removeAlpha().toColourspace('srgb')
  if (random.chance(0.45)) {
    // Seen from afar: few pixels, made larger again.
    const small = random.range(0.6 - 0.4 * hardness, 0.6)
    const [w, h] = [Math.round(width * small), Math.round(height * small)]
    const few = await picture.resize(w, h, { fit: 'fill', kernel: 'linear' }).raw().toBuffer()
    picture = sharp(few, { raw: { width: w, height: h, channels: 3 } }).resize(width, height, {
      fit: 'fill',
      kernel: 'cubic',
    })
  } else if (random.chance(0.5)) {
    picture = picture.blur(random.range(0.5, 0.5 + 1.5 * hardness))
  }
  if (random.chance(0.2 * hardness)) picture = picture.convolve(motion(random))
  return picture.raw().toBuffer()
}

/** A line through the middle of a 7 x 7 kernel: what moved while the shutter was open. */
function motion(random) {
  const size = 7
  const kernel = new Array(size * size).fill(0)
  const [dx, dy] = [random.range(-3, 3), random.range(-3, 3)]
  for (let i = -6; i <= 6; i++) kernel[(3 + Math.round((dy * i) / 6)) * size + 3 + Math.round((dx * i) / 6)] += 1
  return { width: size, height: size, kernel, scale: 13 }
}

/** In place: gain and offset for each colour, and noise whose strength is the picture's. */
function expose(pixels, hardness, random) {
  const gain = random.range(1 - 0.65 * hardness, 1.25)
  const offset = random.range(-18, 26)
  const casts = [0, 1, 2].map(() => gain * random.range(0.88, 1.12))
  const noise = random.unit() ** 2 * 24 * hardness
  for (let i = 0; i < pixels.length; i++) {
    pixels[i] = Math.min(255, Math.max(0, Math.round(pixels[i] * casts[i % 3] + offset + noise * random.bell())))
  }
}
