import { existsSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { ImageSpec } from '../../../src/image/image-spec.js'
import { plainJpeg } from '../../../src/image/jpeg.js'
import { jpegHeader } from '../../../src/image/jpeg-header.js'
import { byLibvips } from '../../../src/image/libvips.js'
import type { Picture } from '../../../src/image/picture.js'
import { installed, jpegFile } from '../../../src/runtime/addon-file.js'
import { photo } from './pictures.js'

const limits = { maxPixels: 16e6, timeoutSeconds: 5 }
const spec: ImageSpec = {
  input: 'image',
  channels: 3,
  height: 96,
  width: 96,
  layout: 'NCHW',
  channelOrder: 'RGB',
  scale: 1,
  mean: [0],
  std: [1],
  fit: 'cover',
  resize: undefined,
  background: [0, 0, 0],
  ground: 'auto',
  shrinkOnLoad: true,
  margin: 0,
  threshold: 0,
  polarity: 'any',
  kernel: 'lanczos3',
}
const jpeg = async (width: number, height: number): Promise<Buffer> =>
  (await photo(width, height)).jpeg({ quality: 85 }).toBuffer()

/** The same as pictures that are not plain are made. */
const throughLibvips = async (bytes: Uint8Array, wanted: ImageSpec): Promise<Picture> =>
  (await byLibvips(bytes, wanted, limits)).picture

function apart(a: Picture, b: Picture): { most: number; mean: number } {
  expect([a.width, a.height, a.channels, a.data.length]).toEqual([b.width, b.height, b.channels, b.data.length])
  let most = 0
  let sum = 0
  for (let i = 0; i < a.data.length; i++) {
    const distance = Math.abs((a.data[i] as number) - (b.data[i] as number))
    most = Math.max(most, distance)
    sum += distance
  }
  return { most, mean: sum / a.data.length }
}

describe('plainJpeg', () => {
  it('finds its library', () => {
    expect(existsSync(jpegFile(installed()))).toBe(true)
  })

  const SPECS: [string, Partial<ImageSpec>][] = [
    ...(['lanczos3', 'lanczos2', 'mitchell', 'cubic', 'linear'] as const).map(
      (kernel): [string, Partial<ImageSpec>] => [kernel, { kernel }],
    ),
    ['decoded whole', { shrinkOnLoad: false }],
    ['filled', { fit: 'fill' }],
    ['contained', { fit: 'contain' }],
    ['resized by the shorter side, then cut', { resize: 106 }],
    ['resized to a size, then cut', { resize: [100, 110] }],
    ['grey', { channels: 1 }],
    ['broad', { width: 120, height: 40 }],
  ]
  it.each(SPECS)('makes the pixels that libvips makes: %s', async (_, given) => {
    const wanted = { ...spec, ...given }
    for (const [width, height] of [
      [640, 480],
      [1920, 1080],
      [481, 1000],
      [131, 127],
      [300, 200],
    ] as const) {
      const bytes = await jpeg(width, height)
      const found = await plainJpeg(bytes, wanted, limits)
      const { most, mean } = apart(found?.picture as Picture, await throughLibvips(bytes, wanted))
      expect({ width, height, most, mean }).toSatisfy(() => most <= 4 && mean < 0.7)
    }
  })

  it('takes grey pictures for models of one channel and of three', async () => {
    const bytes = await (await photo(333, 222)).greyscale().jpeg().toBuffer()
    for (const channels of [1, 3] as const) {
      const wanted = { ...spec, channels }
      const found = await plainJpeg(bytes, wanted, limits)
      expect(found?.picture.channels).toBe(channels)
      expect(apart(found?.picture as Picture, await throughLibvips(bytes, wanted)).most).toBeLessThanOrEqual(3)
    }
  })

  it('turns pictures as their EXIF says', async () => {
    const fresh = await photo(300, 200)
    for (const given of [{}, { fit: 'contain' }, { resize: [101, 110] }, { width: 90, height: 41 }] as const) {
      for (let orientation = 1; orientation <= 8; orientation++) {
        const bytes = await fresh.clone().withMetadata({ orientation }).jpeg().toBuffer()
        const wanted = { ...spec, ...given } as ImageSpec
        const found = await plainJpeg(bytes, wanted, limits)
        const { most, mean } = apart(found?.picture as Picture, await throughLibvips(bytes, wanted))
        expect({ orientation, given, most, mean }).toSatisfy(() => most <= 4 && mean < 0.7)
      }
    }
  })

  it('takes a profile that says it is sRGB for none', async () => {
    const bytes = await (await photo(300, 200)).withIccProfile('srgb').jpeg().toBuffer()
    expect(bytes.includes('ICC_PROFILE')).toBe(true)
    const found = await plainJpeg(bytes, spec, limits)
    const { most, mean } = apart(found?.picture as Picture, await throughLibvips(bytes, spec))
    expect({ most, mean }).toSatisfy(() => most <= 4 && mean < 0.7)
  })

  it('leaves to libvips what is not plain', async () => {
    const fresh = await photo(200, 150)
    const plain = await fresh.clone().jpeg().toBuffer()
    expect(await plainJpeg(plain, spec, limits)).toBeDefined()
    const others: Record<string, [Uint8Array, Partial<ImageSpec>?]> = {
      PNG: [await fresh.clone().png().toBuffer()],
      WebP: [await fresh.clone().webp().toBuffer()],
      progressive: [await fresh.clone().jpeg({ progressive: true }).toBuffer()],
      profile: [await fresh.clone().withIccProfile('p3').jpeg().toBuffer()],
      CMYK: [await fresh.clone().toColourspace('cmyk').jpeg().toBuffer()],
      'too many pixels': [plain],
      'smaller than the tensor': [plain, { width: 201 }],
      nearest: [plain, { kernel: 'nearest' }],
      'cut off in its header': [plain.subarray(0, 100)],
      'cut off in its scan': [plain.subarray(0, plain.length - 200)],
      empty: [new Uint8Array(0)],
    }
    for (const [what, [bytes, given]] of Object.entries(others)) {
      const bound = what === 'too many pixels' ? { ...limits, maxPixels: 29_999 } : limits
      expect(await plainJpeg(bytes, { ...spec, ...given }, bound), what).toBeUndefined()
    }
  })

  it('returns nothing of a damaged picture that libvips would refuse', async () => {
    const plain = await jpeg(160, 120)
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(plain.length - 1), fc.nat(255)), { minLength: 1, maxLength: 3 }),
        async (changes) => {
          const bytes = Buffer.from(plain)
          for (const [at, value] of changes) bytes[at] = value
          const found = await plainJpeg(bytes, spec, limits)
          if (found === undefined) return
          expect(apart(found.picture, await throughLibvips(bytes, spec)).mean).toBeLessThan(1)
        },
      ),
      { numRuns: 300, seed: 7 },
    )
  })

  it('reads its own copy of the bytes, so that the caller may give them away', async () => {
    const bytes = Uint8Array.from(await jpeg(640, 480))
    const expected = await plainJpeg(bytes, spec, limits)
    const running = plainJpeg(bytes, spec, limits)
    structuredClone(bytes.buffer, { transfer: [bytes.buffer] })
    expect(bytes.length).toBe(0)
    expect((await running)?.picture.data).toEqual(expected?.picture.data)
  })
})

describe('jpegHeader', () => {
  it('reads size, colours and orientation', async () => {
    const fresh = await photo(77, 50)
    expect(jpegHeader(await fresh.clone().jpeg().toBuffer())).toEqual({
      width: 77,
      height: 50,
      components: 3,
      baseline: true,
      orientation: 1,
      profile: false,
      adobe: false,
    })
    for (let orientation = 1; orientation <= 8; orientation++) {
      const turned = await fresh.clone().withMetadata({ orientation }).jpeg().toBuffer()
      expect(jpegHeader(turned)).toMatchObject({ orientation, width: 77, height: 50 })
    }
    expect(jpegHeader(await fresh.clone().jpeg({ progressive: true }).toBuffer())).toMatchObject({ baseline: false })
    expect(jpegHeader(await fresh.clone().toColourspace('cmyk').jpeg().toBuffer())).toMatchObject({
      components: 4,
      adobe: true,
    })
    expect(jpegHeader(await fresh.clone().withIccProfile('p3').jpeg().toBuffer())).toMatchObject({ profile: true })
  })

  it('takes any bytes', async () => {
    const turned = await (await photo(40, 30)).withMetadata({ orientation: 3 }).jpeg().toBuffer()
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(turned.length), (noise, at) => {
        jpegHeader(noise)
        const bytes = Buffer.from(turned)
        bytes.set(noise.subarray(0, Math.max(0, bytes.length - at)), at)
        jpegHeader(bytes)
        jpegHeader(bytes.subarray(0, at))
      }),
      { numRuns: 2000, seed: 3 },
    )
  })
})
