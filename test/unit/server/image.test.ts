import sharp from 'sharp'
import { describe, expect, it } from 'vitest'
import { opened, pixelsOf } from '../../../src/image/decode.js'
import { imageSpecOf } from '../../../src/image/image-spec.js'
import { squareOfInk, whiteOnBlack } from '../../../src/image/ink.js'
import { DECODE_LIMITS } from '../../../src/image/picture.js'
import { preparePicture } from '../../../src/image/prepare.js'
import { readyInput } from '../../../src/runtime/inputs.js'
import type { TensorSpec } from '../../../src/runtime/types.js'
import { fakeModel } from '../../../src/testing.js'

const svg = (size: number, background: string, colour: string) =>
  Buffer.from(
    `<svg xmlns="http://www.w3.org/2000/svg" width="${size}" height="${size}">` +
      `<rect width="${size}" height="${size}" fill="${background}"/>` +
      `<path d="M60 50H120L80 150" fill="none" stroke="${colour}" stroke-width="18" stroke-linecap="round"/></svg>`,
  )

const digits = {
  input: 'image',
  channels: 1,
  height: 8,
  width: 8,
  layout: 'NCHW',
  scale: 1 / 255,
  mean: [0],
  std: [1],
  fit: 'ink',
  margin: 0.05,
  threshold: 0.25,
  polarity: 'white-on-black',
  kernel: 'lanczos3',
}

function modelOf(shape: number[], image?: object, datatype: 'FP32' | 'UINT8' = 'FP32') {
  const config = image ? { parameters: { 'subten.preprocess': { string_value: JSON.stringify(image) } } } : {}
  return fakeModel({ inputs: [{ name: 'image', datatype, shape }], outputs: [], config })
}

async function tensorOf(bytes: Buffer, model: ReturnType<typeof modelOf>) {
  const tensor = model.inputs[0] as TensorSpec
  const { input } = await preparePicture(bytes, imageSpecOf(model), tensor)
  const { shape, bytes: size, write } = readyInput(tensor, input.value, model.maxBatchSize > 0)
  const memory = new Uint8Array(size)
  write(memory)
  const data = tensor.datatype === 'FP32' ? new Float32Array(memory.buffer) : memory
  return { shape, data, datatype: tensor.datatype }
}

const decode = (bytes: Buffer, channels: 1 | 3, limits = DECODE_LIMITS) =>
  pixelsOf(opened(bytes, limits), channels, 'auto')

const far = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Math.max(...Array.from(a, (v, i) => Math.abs(v - (b[i] as number))))

describe('a drawn digit', () => {
  it('gives the same tensor in either polarity, opaque or transparent, wherever it stands', async () => {
    const model = modelOf([-1, 1, 8, 8], digits)
    const expected = await tensorOf(
      await sharp(svg(280, '#000', '#fff'))
        .png()
        .toBuffer(),
      model,
    )
    expect(expected).toMatchObject({ shape: [1, 1, 8, 8], datatype: 'FP32' })
    const pictures = [
      sharp(svg(280, '#fff', '#000')).png(),
      sharp(svg(280, 'transparent', '#fff')).png(),
      sharp(svg(280, 'transparent', '#000')).png(),
      sharp(svg(400, '#000', '#fff')).png(),
      sharp(svg(280, '#000', '#fff')).jpeg({ quality: 95 }),
      sharp(svg(280, '#fff', '#000'), { density: 72 * 10 }).jpeg({ quality: 95 }),
      sharp(svg(280, 'transparent', '#000'), { density: 72 * 10 }).webp({ quality: 95 }),
      sharp(svg(280, '#000', '#fff'))
        .toColourspace('b-w')
        .png(),
      sharp(svg(280, '#000', '#fff')).png({ palette: true }),
    ]
    for (const picture of pictures) {
      const { data } = await tensorOf(await picture.toBuffer(), model)
      expect(far(data as Float32Array, expected.data as Float32Array)).toBeLessThan(0.04)
    }
  })

  it('is cut out and centred in a square with its margin', () => {
    const data = new Uint8Array(10 * 8)
    for (const [x, y] of [
      [2, 1],
      [2, 5],
      [3, 3],
    ])
      data[(y as number) * 10 + (x as number)] = 200
    data[79] = 20 // fainter than a quarter of the brightest: no ink
    const square = squareOfInk({ data, width: 10, height: 8, channels: 1 }, 0.2, 0.25)
    expect([square.width, square.height]).toEqual([7, 7])
    const lit = Array.from(square.data.entries())
      .filter(([, v]) => v > 0)
      .map(([i]) => [i % 7, Math.floor(i / 7)])
    expect(lit).toEqual([
      [2, 1],
      [3, 3],
      [2, 5],
    ])
  })

  it('may be nothing at all, or a single pixel', () => {
    const empty = squareOfInk({ data: new Uint8Array(12), width: 4, height: 3, channels: 1 }, 0.05, 0.25)
    expect([empty.width, empty.height]).toEqual([4, 4])
    const dot = { data: Uint8Array.of(255), width: 1, height: 1, channels: 1 as const }
    expect(squareOfInk(dot, 0.05, 0.25).data).toEqual(Uint8Array.of(255))
    expect(whiteOnBlack(dot).data).toEqual(Uint8Array.of(0))
  })
})

describe('preprocessing', () => {
  const quarters = () => {
    const raw = Buffer.from([255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255])
    return sharp(raw, { raw: { width: 2, height: 2, channels: 3 } })
      .png()
      .toBuffer()
  }

  it('lays channels out as the shape of the model says', async () => {
    const nchw = await tensorOf(await quarters(), modelOf([-1, 3, 2, 2]))
    expect(nchw.shape).toEqual([1, 3, 2, 2])
    expect(Array.from(nchw.data as Float32Array)).toEqual([1, 0, 0, 1, 0, 1, 0, 1, 0, 0, 1, 1])
    const nhwc = await tensorOf(await quarters(), modelOf([2, 2, 3]))
    expect(nhwc.shape).toEqual([2, 2, 3])
    expect(Array.from(nhwc.data as Float32Array)).toEqual([1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 1, 1])
  })

  it('scales, centres and divides by channel', async () => {
    const image = { scale: 1 / 255, mean: [0.5, 0, 0], std: [0.5, 1, 2] }
    const { data } = await tensorOf(await quarters(), modelOf([3, 2, 2], image))
    expect(Array.from(data as Float32Array)).toEqual([1, -1, -1, 1, 0, 1, 0, 1, 0, 0, 0.5, 0.5])
  })

  it('gives UINT8 pixels to models that take them', async () => {
    const { data, datatype } = await tensorOf(await quarters(), modelOf([-1, 2, 2, 3], undefined, 'UINT8'))
    expect(datatype).toBe('UINT8')
    expect(Array.from(data as Uint8Array)).toEqual([255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255])
  })

  it('fits: cover crops, contain adds black, fill stretches', async () => {
    const wide = await sharp({ create: { width: 8, height: 4, channels: 3, background: '#fff' } })
      .png()
      .toBuffer()
    const mean = async (fit: string) => {
      const { data } = await tensorOf(wide, modelOf([1, 4, 4], { fit }))
      return Array.from(data as Float32Array).reduce((a, b) => a + b) / 16
    }
    expect(await mean('cover')).toBe(1)
    expect(await mean('contain')).toBe(0.5)
    expect(await mean('fill')).toBe(1)
  })

  it('turns a photo as its EXIF says', async () => {
    const raw = Buffer.from([255, 0])
    const tall = await sharp(raw, { raw: { width: 2, height: 1, channels: 1 } })
      .withMetadata({ orientation: 6 })
      .jpeg()
      .toBuffer()
    expect(await decode(tall, 1)).toMatchObject({ width: 1, height: 2 })
  })

  it('names the setting that is wrong', () => {
    const fails =
      (image: object | string, shape = [1, 8, 8]) =>
      () =>
        imageSpecOf(
          typeof image === 'string'
            ? fakeModel({
                inputs: [{ name: 'image', datatype: 'FP32', shape }],
                outputs: [],
                config: { parameters: { 'subten.preprocess': image } },
              })
            : modelOf(shape, image),
        )
    expect(fails('{')).toThrow(/not JSON/)
    expect(fails('[]')).toThrow(/JSON object/)
    expect(fails({ input: 'other' })).toThrow(/names an input/)
    expect(fails({ std: [0] })).toThrow(/std/)
    expect(fails({ mean: [1, 2] })).toThrow(/mean/)
    expect(fails({ height: 0 })).toThrow(/height/)
    expect(fails({}, [3, -1, -1])).toThrow(/height/)
    expect(fails({}, [64])).toThrow(/channels|height|width/)
    expect(fails({ kernel: 'best' })).toThrow(/kernel/)
  })
})

describe('decoding', () => {
  const grey = () => sharp({ create: { width: 4, height: 4, channels: 3, background: '#808080' } })

  it.each([
    ['16-bit RGB', () => grey().toColourspace('rgb16').png()],
    ['16-bit grey', () => grey().toColourspace('grey16').png()],
    ['grey with alpha', () => grey().ensureAlpha().toColourspace('b-w').png()],
    ['a palette', () => grey().png({ palette: true })],
    ['CMYK JPEG', () => grey().toColourspace('cmyk').jpeg()],
    ['progressive JPEG', () => grey().jpeg({ progressive: true })],
  ])('gives 8-bit pixels for %s', async (_what, make) => {
    const bytes = await make().toBuffer()
    for (const channels of [1, 3] as const) {
      const { data, width, height } = await decode(bytes, channels)
      expect([data.length, width, height]).toEqual([16 * channels, 4, 4])
      // The way to CMYK and back through its colour profile costs some brightness; 16 bits taken for 8 would cost all.
      for (const value of data) expect(Math.abs(value - 0x80)).toBeLessThan(20)
    }
  })

  it('takes a picture up to the limit of pixels, and none beyond', async () => {
    const large = await sharp({ create: { width: 3500, height: 3500, channels: 3, background: '#123' } })
      .png()
      .toBuffer()
    const limits = { maxPixels: 16_000_000, timeoutSeconds: 5 }
    const model = modelOf([3, 8, 8])
    const prepared = (maxPixels: number) =>
      preparePicture(large, imageSpecOf(model), model.inputs[0] as TensorSpec, { ...limits, maxPixels })
    await expect(prepared(limits.maxPixels)).resolves.toMatchObject({ input: { shape: [3, 8, 8] } })
    await expect(prepared(1000)).rejects.toMatchObject({ details: { http: 413 } })
  })
})
