import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import sharp, { type Sharp } from 'sharp'
import { beforeAll, describe, expect, it } from 'vitest'
import { DecodeGate } from '../../../src/image/decode-gate.js'
import { unknownFormat } from '../../../src/image/formats.js'
import { SubtenError } from '../../../src/runtime/errors.js'
import { modelOf, photo, pngSaying, tensorOf } from './pictures.js'

const model = modelOf([4, 4, 3], { scale: 1 })
const plain = (background = '#808080') => sharp({ create: { width: 6, height: 6, channels: 3, background } })

async function refusal(bytes: Uint8Array): Promise<SubtenError> {
  const error = await tensorOf(bytes, model).then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  expect(error).toBeInstanceOf(SubtenError)
  return error as SubtenError
}

describe('what is no PNG, JPEG or WebP', () => {
  const text = (value: string) => Buffer.from(value)
  it.each<[string, Buffer, string | undefined]>([
    ['SVG', text('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'), 'an SVG'],
    ['SVG with a head', text('\ufeff<?xml version="1.0"?>\n<!-- x --><svg width="9" height="9"></svg>'), 'an SVG'],
    ['HEIC', Buffer.concat([Buffer.alloc(4), text('ftypheic'), Buffer.alloc(20)]), 'a HEIC'],
    ['AVIF', Buffer.concat([Buffer.alloc(4), text('ftypavif'), Buffer.alloc(20)]), 'an AVIF'],
    ['MP4', Buffer.concat([Buffer.alloc(4), text('ftypisom'), Buffer.alloc(20)]), 'a video (MP4)'],
    ['PDF', text('%PDF-1.7\n'), 'a PDF'],
    ['TIFF', Buffer.from([0x49, 0x49, 0x2a, 0, 8, 0, 0, 0]), 'a TIFF'],
    ['JPEG XL', Buffer.from([0xff, 0x0a, 1, 2]), 'a JPEG XL'],
    ['HTML', text('<!DOCTYPE html><html></html>'), 'an HTML page'],
    ['JSON', text('{"image": "…"}'), 'JSON'],
    ['a data URL', text('data:image/png;base64,iVBORw0KGgo='), 'a data URL: send the bytes that it stands for'],
    ['text', text('hello'), 'text'],
    ['a zip', text('PK\u0003\u0004....'), 'a zip'],
    ['one byte', Buffer.from([0x89]), undefined],
    ['nothing that is known', Buffer.from([1, 2, 3, 0, 255]), undefined],
  ])('is refused with 415 and named: %s', async (_what, bytes, looksLike) => {
    const error = await refusal(bytes)
    expect(error).toMatchObject({ code: 'INVALID_INPUT', details: { http: 415 } })
    expect(error.details.looksLike).toBe(looksLike)
    if (looksLike) expect(error.message).toContain(`they look like ${looksLike}`)
  })

  it('is refused also where libvips could read it: GIF, AVIF, TIFF', async () => {
    for (const made of [plain().gif(), plain().tiff()]) {
      expect(await refusal(await made.toBuffer())).toMatchObject({
        details: { http: 415, looksLike: expect.any(String) },
      })
    }
  })

  it('is told apart whatever its bytes are', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        expect(unknownFormat(bytes).code).toBe('INVALID_INPUT')
      }),
      { numRuns: 500 },
    )
  })
})

describe('an unusual picture', () => {
  it('of 1 × 1 pixel is one colour, in every format', async () => {
    const one = () => sharp({ create: { width: 1, height: 1, channels: 3, background: '#ff0000' } })
    for (const made of [one().png(), one().webp({ lossless: true })]) {
      const { data } = await tensorOf(await made.toBuffer(), modelOf([4, 4, 3], { scale: 1, resize: 5 }))
      expect(data).toEqual(Array.from({ length: 16 }, () => [255, 0, 0]).flat())
    }
    expect((await tensorOf(await one().jpeg().toBuffer(), model)).data).toHaveLength(48)
  })

  it.each<[string, () => Sharp]>([
    ['CMYK JPEG', () => plain().toColourspace('cmyk').jpeg()],
    ['16-bit RGB PNG', () => plain().toColourspace('rgb16').png()],
    ['16-bit grey PNG', () => plain().toColourspace('grey16').png()],
    ['grey with alpha', () => plain().ensureAlpha().toColourspace('b-w').png()],
    ['palette PNG', () => plain().png({ palette: true })],
    ['interlaced PNG', () => plain().png({ progressive: true })],
    ['progressive JPEG', () => plain().jpeg({ progressive: true })],
    ['JPEG without subsampling', () => plain().jpeg({ chromaSubsampling: '4:4:4' })],
    ['grey JPEG', () => plain().toColourspace('b-w').jpeg()],
    ['lossless WebP', () => plain().webp({ lossless: true })],
    ['JPEG with a wide profile', () => plain().withIccProfile('p3').jpeg()],
  ])('is grey where it is grey: %s', async (_what, make) => {
    const { data } = await tensorOf(await make().toBuffer(), model)
    expect(data).toHaveLength(48)
    // The way to CMYK and back costs some brightness; 16 bits taken for 8 would cost all.
    for (const value of data) expect(Math.abs(value - 0x80)).toBeLessThan(20)
  })

  it('that is animated is its first picture', async () => {
    const frames = Buffer.concat([Buffer.alloc(6 * 6 * 3, 200), Buffer.alloc(6 * 6 * 3, 10)])
    const animated = await sharp(frames, { raw: { width: 6, height: 12, channels: 3, pageHeight: 6 } })
      .webp({ lossless: true, loop: 0, delay: [50, 50] })
      .toBuffer()
    expect((await sharp(animated).metadata()).pages).toBe(2)
    expect((await tensorOf(animated, model)).data).toEqual(new Array(48).fill(200))
    // Of an APNG, the picture that every reader of PNG sees.
    const rows = Buffer.alloc(6 * 7, 77)
    for (let y = 0; y < 6; y++) rows[7 * y] = 0
    const control = Buffer.alloc(8)
    control.writeUInt32BE(2)
    const frame = Buffer.alloc(26)
    frame.writeUInt32BE(6, 4)
    frame.writeUInt32BE(6, 8)
    const apng = pngSaying(6, 6, rows, [
      ['acTL', control],
      ['fcTL', frame],
    ])
    expect((await tensorOf(apng, model)).data).toEqual(new Array(48).fill(77))
  })

  it('is turned as its EXIF says', async () => {
    // Red left, blue right; orientation 6: the left side is on top.
    const pixels = Buffer.from(
      Array.from({ length: 32 * 32 }, (_, i) => (i % 32 < 16 ? [255, 0, 0] : [0, 0, 255])).flat(),
    )
    const bytes = await sharp(pixels, { raw: { width: 32, height: 32, channels: 3 } })
      .withMetadata({ orientation: 6 })
      .jpeg({ quality: 100, chromaSubsampling: '4:4:4' })
      .toBuffer()
    for (const block of [{}, { resize: 4 }, { fit: 'contain' }, { shrinkOnLoad: false }]) {
      const { data } = await tensorOf(bytes, modelOf([4, 4, 3], { scale: 1, ...block }))
      expect(data[0]).toBeGreaterThan(200)
      expect(data[9]).toBeGreaterThan(200)
      expect(data[38]).toBeGreaterThan(200)
    }
  })
})

describe('a picture that would take too much', () => {
  it('of 20,000 × 20,000 pixels is refused by its header, in every format', async () => {
    const jpeg = await plain().jpeg().toBuffer()
    const frame = jpeg.indexOf(Buffer.from([0xff, 0xc0]))
    jpeg.writeUInt16BE(20_000, frame + 5)
    jpeg.writeUInt16BE(20_000, frame + 7)
    const webp = await plain().webp({ lossless: true }).toBuffer()
    // 14 bits each, one less than the size, behind the signature of the lossless form.
    webp.writeUInt32LE((16_382 | (16_382 << 14)) >>> 0, webp.indexOf('VP8L') + 9)
    const png = pngSaying(20_000, 20_000, Buffer.alloc(1000))
    const before = process.memoryUsage().rss
    for (const bytes of [png, jpeg, webp]) {
      expect(await refusal(bytes)).toMatchObject({ code: 'INVALID_INPUT', details: { http: 413 } })
    }
    // A third of one of them, decoded.
    expect(process.memoryUsage().rss - before).toBeLessThan(400e6)
  })

  it('is refused where it is longer than any tensor needs', async () => {
    const long = await sharp({ create: { width: 60_000, height: 2, channels: 3, background: '#fff' } })
      .png()
      .toBuffer()
    await expect(tensorOf(long, modelOf([4, 4, 3], { resize: 256 }))).rejects.toThrow(/too long and thin/)
    expect((await tensorOf(long, model)).data).toHaveLength(48)
  })

  it('ends with an error, or as what it is, where a chunk beside its pixels is a bomb', async () => {
    const { deflateSync } = await import('node:zlib')
    const bomb = deflateSync(Buffer.alloc(64_000_000), { level: 9 })
    const text = Buffer.concat([Buffer.from('x\0\0'), bomb])
    const profile = Buffer.concat([Buffer.from('x\0\0'), bomb])
    const rows = Buffer.alloc(4 * 5)
    for (const [type, data] of [
      ['zTXt', text],
      ['iCCP', profile],
    ] as const) {
      const end = await tensorOf(pngSaying(4, 4, rows, [[type, data]]), model).catch((error: unknown) => error)
      if (end instanceof SubtenError) expect(end.code).toBe('INVALID_INPUT')
      else expect((end as { data: number[] }).data).toEqual(new Array(48).fill(0))
    }
  })
})

describe('bytes that were changed', () => {
  const whole: Buffer[] = []
  beforeAll(async () => {
    const picture = await photo(40, 32)
    whole.push(
      await picture.clone().png().toBuffer(),
      await picture.clone().jpeg().toBuffer(),
      await picture.clone().webp().toBuffer(),
      await picture.clone().webp({ lossless: true }).toBuffer(),
    )
  })

  it('are a picture or an INVALID_INPUT, never anything else', async () => {
    const change = fc.record({
      which: fc.nat(3),
      edits: fc.array(fc.tuple(fc.double({ min: 0, max: 0.999, noNaN: true }), fc.nat(255)), { maxLength: 8 }),
      cut: fc.option(fc.double({ min: 0, max: 1, noNaN: true }), { freq: 2 }),
    })
    await fc.assert(
      fc.asyncProperty(change, async ({ which, edits, cut }) => {
        const bytes = Buffer.from(whole[which] as Buffer)
        for (const [where, value] of edits) bytes[Math.floor(where * bytes.length)] = value
        const end = await tensorOf(bytes.subarray(0, Math.ceil((cut ?? 1) * bytes.length)), model).catch(
          (e: unknown) => e,
        )
        if (end instanceof SubtenError) expect(end.code).toBe('INVALID_INPUT')
        else expect((end as { data: number[] }).data).toHaveLength(48)
      }),
      { numRuns: 300 },
    )
  })

  it('are refused where half of them is missing', async () => {
    for (const bytes of whole) {
      const end = await tensorOf(bytes.subarray(0, bytes.length / 2), model).catch((error: unknown) => error)
      expect(end).toMatchObject({ code: 'INVALID_INPUT', message: 'the picture is damaged or incomplete' })
    }
  })
})

describe('the gate before decoding', () => {
  const forever = { until: Number.POSITIVE_INFINITY }
  const held = () => {
    let release: () => void = () => {}
    const work = new Promise<void>((resolve) => {
      release = resolve
    })
    return { work: () => work, release }
  }

  it('lets so many in at a time, and the others in their order', async () => {
    const gate = new DecodeGate(2)
    const order: number[] = []
    const jobs = [0, 1, 2, 3, 4].map(() => held())
    const ends = jobs.map(({ work }, i) => {
      const begin = () => {
        order.push(i)
        return work()
      }
      return gate.run(begin, forever)
    })
    await sleep(1)
    expect([order, gate.waiting]).toEqual([[0, 1], 3])
    jobs[1]?.release()
    await ends[1]
    await sleep(1)
    expect(order).toEqual([0, 1, 2])
    for (const job of jobs) job.release()
    await Promise.all(ends)
    expect([order, gate.waiting]).toEqual([[0, 1, 2, 3, 4], 0])
  })

  it('keeps the place of one whose caller gave up until its work has ended', async () => {
    const gate = new DecodeGate(1)
    const first = held()
    const controller = new AbortController()
    const aborted = gate.run(first.work, { ...forever, signal: controller.signal })
    let began = false
    const second = gate.run(async () => {
      began = true
    }, forever)
    controller.abort(new Error('enough'))
    await expect(aborted).rejects.toThrow('enough')
    await sleep(1)
    expect(began).toBe(false)
    first.release()
    await second
    expect(began).toBe(true)
  })

  it('hands on the place of one that gave up while it waited, also in the turn in which it was let in', async () => {
    const gate = new DecodeGate(1)
    const first = held()
    const one = gate.run(first.work, forever)
    const controllers = [0, 1].map(() => new AbortController())
    const waiting = controllers.map(({ signal }) =>
      gate.run(async () => 'in', { ...forever, signal }).catch(() => 'out'),
    )
    const late = gate.run(async () => 'in', { until: performance.now() + 5 })
    await expect(late).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED', message: /waited to be decoded/ })
    controllers[0]?.abort()
    first.release()
    await one
    controllers[1]?.abort()
    expect(await waiting[0]).toBe('out')
    await waiting[1]
    expect(await gate.run(async () => 'free', forever)).toBe('free')
    expect(gate.waiting).toBe(0)
  })

  it('ends with what the work throws, and goes on', async () => {
    const gate = new DecodeGate(1)
    const broken = async () => {
      throw new Error('broken')
    }
    await expect(gate.run(broken, forever)).rejects.toThrow('broken')
    expect(await gate.run(async () => 1, forever)).toBe(1)
  })

  it('is late where the deadline passes during the work', async () => {
    const gate = new DecodeGate(1)
    const job = held()
    const end = gate.run(job.work, { until: performance.now() + 5 })
    await expect(end).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED', message: /while the picture was decoded/ })
    job.release()
  })
})
