import sharp from 'sharp'
import { describe, expect, it } from 'vitest'
import { geometryOf } from '../../../src/image/geometry.js'
import { imageSpecOf } from '../../../src/image/image-spec.js'
import { bfloat16Bits, float16Bits, float16ToFloat32 } from '../../../src/runtime/half.js'
import { fakeModel } from '../../../src/testing.js'
import { modelOf, photo, png, tensorOf } from './pictures.js'

/** Red, green / blue, a mixture. */
const FOUR = [255, 0, 0, 0, 255, 0, 0, 0, 255, 10, 20, 30]
const four = () => png(2, 2, FOUR)
const rounded = (values: number[]) => values.map((value) => Math.fround(value))

describe('the values of a tensor', () => {
  it("are torchvision's: 0 to 1, less mean, by std, RGB in planes", async () => {
    const mean = [0.485, 0.456, 0.406]
    const std = [0.229, 0.224, 0.225]
    const { shape, data } = await tensorOf(await four(), modelOf([-1, 3, 2, 2], { mean, std }, 'FP32', 8))
    expect(shape).toEqual([1, 3, 2, 2])
    const planes = [0, 1, 2].flatMap((c) =>
      [0, 1, 2, 3].map((i) => ((FOUR[3 * i + c] as number) / 255 - (mean[c] as number)) / (std[c] as number)),
    )
    for (const [i, value] of planes.entries()) expect(data[i]).toBeCloseTo(value, 6)
  })

  it("are those of Keras's mode 'caffe': BGR, 0 to 255 less the mean of each, channels last", async () => {
    const block = { channelOrder: 'BGR', scale: 1, mean: [103.939, 116.779, 123.68] }
    const { data } = await tensorOf(await four(), modelOf([-1, 2, 2, 3], block))
    const [b, g, r] = [103.939, 116.779, 123.68]
    const pixel = (red: number, green: number, blue: number) => [blue - b, green - g, red - r]
    expect(data).toEqual(rounded([...pixel(255, 0, 0), ...pixel(0, 255, 0), ...pixel(0, 0, 255), ...pixel(10, 20, 30)]))
  })

  it("are those of Keras's mode 'tf': -1 to 1, channels last", async () => {
    const { data } = await tensorOf(await four(), modelOf([2, 2, 3], { scale: 1 / 127.5, mean: [1] }))
    expect(data).toEqual(rounded(FOUR.map((value) => value / 127.5 - 1)))
  })

  it('are pixels of 0 to 255 where the scale is 1', async () => {
    const { data } = await tensorOf(await four(), modelOf([2, 2, 3], { scale: 1 }))
    expect(data).toEqual(FOUR)
  })

  it('are whole for integer inputs, a half to the even one, held to what the type has', async () => {
    expect((await tensorOf(await four(), modelOf([2, 2, 3], undefined, 'UINT8'))).data).toEqual(FOUR)
    const halves = { scale: 0.5, mean: [100] }
    expect(
      (await tensorOf(await png(2, 2, [255, 3, 5, 201, 203, 0, 1, 1, 1, 1, 1, 1]), modelOf([2, 2, 3], halves, 'INT8')))
        .data,
    ).toEqual([28, -98, -98, 0, 2, -100, -100, -100, -100, -100, -100, -100])
    const beyond = { scale: 2, mean: [128] }
    expect(
      (await tensorOf(await png(2, 2, [0, 64, 255, 0, 1, 2, 0, 0, 0, 0, 0, 0]), modelOf([2, 2, 3], beyond, 'INT8')))
        .data,
    ).toEqual([-128, 0, 127, -128, -126, -124, -128, -128, -128, -128, -128, -128])
    expect((await tensorOf(await four(), modelOf([2, 2, 3], { mean: [5] }, 'UINT8'))).data.slice(0, 3)).toEqual([
      250, 0, 0,
    ])
  })

  it('are FP16 and BF16 for inputs of these', async () => {
    const block = { mean: [0.5], std: [0.25] }
    const values = FOUR.map((value) => (value / 255 - 0.5) / 0.25)
    const half = (await tensorOf(await four(), modelOf([2, 2, 3], block, 'FP16'))).data
    expect(half).toEqual(values.map(float16Bits))
    for (const [i, value] of float16ToFloat32(Uint16Array.from(half)).entries()) {
      expect(value).toBeCloseTo(values[i] as number, 2)
    }
    const brain = (await tensorOf(await four(), modelOf([2, 2, 3], block, 'BF16'))).data
    expect(brain).toEqual(values.map(bfloat16Bits))
  })

  it('are the same in every layout and order, whatever the size', async () => {
    for (const [width, height] of [
      [1, 1],
      [3, 1],
      [5, 7],
      [8, 4],
    ] as const) {
      const pixels = Array.from({ length: 3 * width * height }, (_, i) => (i * 37) % 256)
      const bytes = await png(width, height, pixels)
      const area = width * height
      for (const channelOrder of ['RGB', 'BGR']) {
        const of = (i: number, c: number) => pixels[3 * i + (channelOrder === 'BGR' ? 2 - c : c)] as number
        const mean = [1, 2, 3]
        const expected = (c: number, i: number) => of(i, c) - (mean[c] as number)
        const block = { channelOrder, scale: 1, mean, channels: 3, height, width }
        const nchw = await tensorOf(bytes, modelOf([3, height, width], { ...block, layout: 'NCHW' }))
        const nhwc = await tensorOf(bytes, modelOf([height, width, 3], { ...block, layout: 'NHWC' }))
        expect(nchw.data).toEqual([0, 1, 2].flatMap((c) => Array.from({ length: area }, (_, i) => expected(c, i))))
        expect(nhwc.data).toEqual(Array.from({ length: area }, (_, i) => [0, 1, 2].map((c) => expected(c, i))).flat())
        const doubles = await tensorOf(bytes, modelOf([3, height, width], { ...block, layout: 'NCHW' }, 'FP64'))
        expect(doubles.data).toEqual(nchw.data)
      }
    }
  })

  it('are grey by ITU-R BT.601 where a model takes one channel, and repeated where a grey picture becomes three', async () => {
    const grey = await tensorOf(await four(), modelOf([1, 2, 2], { scale: 1 }))
    expect(grey.data).toEqual([76, 150, 29, Math.round(0.299 * 10 + 0.587 * 20 + 0.114 * 30)])
    const three = await tensorOf(await png(2, 2, [7, 200, 0, 0]), modelOf([2, 2, 3], { scale: 1 }))
    expect(three.data).toEqual([7, 7, 7, 200, 200, 200, 0, 0, 0, 0, 0, 0])
  })
})

describe('halves', () => {
  it('are rounded to the nearest, ties to even, at every scale', () => {
    const bits = Uint16Array.from({ length: 0x7c00 }, (_, i) => i)
    const values = float16ToFloat32(bits)
    for (let i = 0; i < bits.length; i += 7) {
      const value = values[i] as number
      expect(float16Bits(value)).toBe(i)
      expect(float16Bits(-value)).toBe(i | 0x8000)
      const next = values[i + 1]
      if (next === undefined) continue
      const middle = (value + next) / 2
      expect(float16Bits(middle)).toBe(i % 2 === 0 ? i : i + 1)
      expect(float16Bits(middle * (1 + 1e-9))).toBe(i + 1)
    }
    expect([65519, 65520, Number.POSITIVE_INFINITY, Number.NaN].map(float16Bits)).toEqual([
      0x7bff, 0x7c00, 0x7c00, 0x7e00,
    ])
    expect([1, -2, 1 + 2 ** -8, 1 + 3 * 2 ** -8, Number.NaN].map(bfloat16Bits)).toEqual([
      0x3f80, 0xc000, 0x3f80, 0x3f82, 0x7fc0,
    ])
  })
})

describe('the part of a picture that a model sees', () => {
  it('is the middle after its shorter side was resized, as torchvision cuts it', () => {
    const spec = imageSpecOf(modelOf([3, 224, 224], { resize: 256 }))
    const whole = { left: 0, top: 0, width: 224, height: 224 }
    const crop = { width: 224, height: 224 }
    expect(geometryOf(spec, 500, 375)).toEqual({
      width: 341,
      height: 256,
      crop: { ...crop, left: 58, top: 16 },
      place: whole,
    })
    expect(geometryOf(spec, 375, 500)).toEqual({
      width: 256,
      height: 341,
      crop: { ...crop, left: 16, top: 58 },
      place: whole,
    })
    expect(geometryOf(spec, 1, 1)).toMatchObject({ width: 256, height: 256 })
    expect(() => geometryOf(spec, 1, 16_000_000)).toThrow(/too long and thin/)
    expect(geometryOf(imageSpecOf(modelOf([3, 2, 4], { resize: [3, 6] })), 9, 9)).toMatchObject({
      width: 6,
      height: 3,
      crop: { left: 1, top: 0, width: 4, height: 2 },
    })
  })

  it('is that middle in its pixels', async () => {
    // Columns of one brightness: after resizing nothing changes but where they are.
    const columns = Array.from({ length: 8 * 4 }, (_, i) => 30 * (i % 8))
    const { data } = await tensorOf(
      await png(8, 4, columns),
      modelOf([1, 2, 2], { resize: 4, scale: 1, kernel: 'nearest' }),
    )
    expect(data).toEqual([90, 120, 90, 120])
  })

  it('has what is beside it in the colour of the background', async () => {
    const red = await png(4, 2, Array.from({ length: 8 }, () => [255, 0, 0]).flat())
    const block = { fit: 'contain', background: [1, 2, 3], scale: 1 }
    const { data } = await tensorOf(red, modelOf([4, 4, 3], block))
    const line = (pixel: number[]) => [pixel, pixel, pixel, pixel].flat()
    expect(data).toEqual([...line([1, 2, 3]), ...line([255, 0, 0]), ...line([255, 0, 0]), ...line([1, 2, 3])])
    const bgr = await tensorOf(red, modelOf([3, 4, 4], { ...block, channelOrder: 'BGR' }))
    expect([bgr.data[0], bgr.data[16], bgr.data[32], bgr.data[4], bgr.data[36]]).toEqual([3, 2, 1, 0, 255])
    const grey = await tensorOf(red, modelOf([1, 4, 4], { ...block, background: [114] }))
    expect(grey.data.slice(0, 5)).toEqual([114, 114, 114, 114, 76])
  })

  it('shows what is under a transparent picture: what the block says, or what shows its strokes', async () => {
    const clear = (value: number) =>
      png(2, 2, [value, value, value, 255, ...[9, 9, 9, 0], ...[9, 9, 9, 0], ...[9, 9, 9, 0]])
    const shown = async (bytes: Buffer, block: object) =>
      (await tensorOf(bytes, modelOf([2, 2, 3], { scale: 1, ...block }))).data.slice(0, 6)
    expect(await shown(await clear(200), {})).toEqual([200, 200, 200, 0, 0, 0])
    expect(await shown(await clear(50), {})).toEqual([50, 50, 50, 255, 255, 255])
    expect(await shown(await clear(50), { ground: [1, 2, 3] })).toEqual([50, 50, 50, 1, 2, 3])
    // Grey with alpha.
    expect(await shown(await png(2, 2, [200, 255, 9, 0, 9, 0, 9, 0]), { ground: [100] })).toEqual([
      200, 200, 200, 100, 100, 100,
    ])
  })

  it('is nearly what it is without shrinking while decoding, and turned alike', async () => {
    const picture = await photo(1600, 1200)
    for (const bytes of [
      await picture.clone().jpeg({ quality: 90 }).toBuffer(),
      await picture.clone().webp({ quality: 90 }).toBuffer(),
      await picture.clone().withMetadata({ orientation: 6 }).jpeg({ quality: 90 }).toBuffer(),
    ]) {
      for (const block of [{}, { resize: 256 }, { fit: 'contain' }, { fit: 'fill' }]) {
        const [fast, exact] = await Promise.all(
          [true, false].map((shrinkOnLoad) =>
            tensorOf(bytes, modelOf([3, 224, 224], { ...block, shrinkOnLoad, scale: 1 })),
          ),
        )
        const apart = fast?.data.map((value, i) => Math.abs(value - (exact?.data[i] as number))) as number[]
        expect(apart.reduce((a, b) => a + b) / apart.length).toBeLessThan(3)
      }
    }
  })
})

describe('the block', () => {
  const fails = (block: object | string, shape = [3, 8, 8]) => {
    const text = typeof block === 'string' ? block : JSON.stringify(block)
    const model = fakeModel({
      inputs: [{ name: 'image', datatype: 'FP32', shape }],
      outputs: [],
      config: { parameters: { 'subten.preprocess': { string_value: text } } },
    })
    return () => imageSpecOf(model)
  }

  it.each<[object, RegExp]>([
    [{ chanelOrder: 'BGR' }, /unknown key 'chanelOrder'/],
    [{ channelOrder: 'GBR' }, /channelOrder .* one of RGB, BGR/],
    [{ resize: 7 }, /resize .* at least 8/],
    [{ resize: [8, 7] }, /resize .* at least \[8, 8\]/],
    [{ resize: 'big' }, /resize .* shorter side/],
    [{ resize: 9, fit: 'contain' }, /fit .* left out beside resize/],
    [{ crop: 8 }, /resize .* beside crop/],
    [{ resize: 9, crop: 9 }, /crop .* height 8/],
    [{ background: [256] }, /background .* 0 to 255/],
    [{ ground: 'red' }, /ground .* 'auto' or/],
    [{ shrinkOnLoad: 1 }, /shrinkOnLoad .* true or false/],
  ])('%j is CONFIG_INVALID', (block, message) => {
    expect(fails(block)).toThrow(message)
    expect(fails(block)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }))
  })

  it('may say the size that is cut where the shape of the model does not', () => {
    expect(fails({ resize: 12, crop: [8, 10] }, [3, -1, -1])()).toMatchObject({ height: 8, width: 10, resize: 12 })
  })

  it('is read under its older name, with keys that nobody knows, but not under both', () => {
    const model = (parameters: object) =>
      fakeModel({
        inputs: [{ name: 'image', datatype: 'FP32', shape: [3, 8, 8] }],
        outputs: [],
        config: { parameters },
      })
    const text = (block: object) => ({ string_value: JSON.stringify(block) })
    expect(imageSpecOf(model({ 'subten.image': text({ fit: 'fill', note: 'old' }) })).fit).toBe('fill')
    expect(() => imageSpecOf(model({ 'subten.image': text({ fit: 'all' }) }))).toThrow(/fit in subten\.image/)
    const both = model({ 'subten.image': text({}), 'subten.preprocess': text({}) })
    expect(() => imageSpecOf(both)).toThrow(/both subten\.preprocess and subten\.image/)
  })

  it('is NOT_SUPPORTED for a tensor that holds no pixels', async () => {
    const bytes = await sharp({ create: { width: 8, height: 8, channels: 3, background: '#fff' } })
      .png()
      .toBuffer()
    await expect(tensorOf(bytes, modelOf([3, 8, 8], undefined, 'INT64'))).rejects.toMatchObject({
      code: 'NOT_SUPPORTED',
    })
  })
})
