import { deflateSync } from 'node:zlib'
import sharp from 'sharp'
import { describe, expect, it } from 'vitest'
import { fakeModel } from '../../../src/testing.js'
import { chunk } from '../image/pictures.js'
import { type Answer, get, post, serving } from './running-server.js'

const picture = (width = 8, height = 8) => sharp({ create: { width, height, channels: 3, background: '#000' } })
const scores = [{ name: 'scores', datatype: 'FP32' as const, shape: [-1, 4] }]
const input = { name: 'image', datatype: 'FP32' as const, shape: [-1, 1, 8, 8] }

function classifier(options: { labels?: string[]; image?: object; scores?: number[] } = {}) {
  const parameters = options.image ? { 'subten.preprocess': { string_value: JSON.stringify(options.image) } } : {}
  return fakeModel(
    {
      name: 'shapes',
      version: '2',
      maxBatchSize: 8,
      inputs: [input],
      outputs: scores,
      labels: options.labels ? { scores: options.labels } : {},
      config: { parameters },
    },
    { outputs: { scores: options.scores ?? [0.1, 0.6, 0.3, 0] } },
  )
}

const names = ['circle', 'square', 'star', 'line']

describe('POST /v1/classify/{model}', () => {
  it('answers with the model, its version and the k likeliest labels, exactly', async () => {
    const { url } = await serving([classifier({ labels: names })])
    const answer = await post(`${url}/v1/classify/shapes?k=2`, await picture().png().toBuffer())
    expect(answer.status).toBe(200)
    expect(answer.json).toEqual({
      model: 'shapes',
      version: '2',
      top: [
        { label: 'square', index: 1, score: Math.fround(0.6) },
        { label: 'star', index: 2, score: Math.fround(0.3) },
      ],
    })
    expect(answer.headers.get('server-timing')).toMatch(/^decode;dur=[\d.]+, preprocess;dur=[\d.]+, .*compute;dur=/)
  })

  it('takes JPEG and WebP, any content type, a named version, and indices where there are no labels', async () => {
    const { url } = await serving([classifier()])
    const [jpeg, webp] = [await picture().jpeg().toBuffer(), await picture().webp().toBuffer()]
    for (const [type, body] of [
      ['image/jpeg', jpeg],
      ['application/octet-stream', jpeg],
      ['text/plain', webp],
    ] as const) {
      const answer = await post(`${url}/v1/classify/shapes/versions/2?k=1`, body, { 'content-type': type })
      expect(answer.json.top).toEqual([{ label: '1', index: 1, score: Math.fround(0.6) }])
    }
  })

  it('turns scores into probabilities only where the config wants it', async () => {
    const logits = [1000, 1001, 999, -5]
    const { url } = await serving([classifier({ image: { softmax: true }, scores: logits })])
    const answer = await post(`${url}/v1/classify/shapes?k=1`, await picture().png().toBuffer())
    expect(answer.json.top[0]).toMatchObject({ index: 1, score: expect.closeTo(0.665, 3) })
  })

  it('takes a k beyond the classes for all of them, and 5 when it is absent', async () => {
    const { url } = await serving([classifier()])
    const body = await picture().png().toBuffer()
    expect((await post(`${url}/v1/classify/shapes?k=100`, body)).json.top).toHaveLength(4)
    expect((await post(`${url}/v1/classify/shapes`, body)).json.top).toHaveLength(4)
  })

  it.each(['0', '-1', '1.5', 'many', '', '1&k=2', '99999999999'])('refuses k=%s with 400', async (k) => {
    const { url } = await serving([classifier()])
    const answer = await post(`${url}/v1/classify/shapes?k=${k}`, await picture().png().toBuffer())
    expect(answer).toMatchObject({ status: 400, json: { error: { code: 'INVALID_INPUT' } } })
  })

  const problem = (answer: Answer, status: number, code = 'INVALID_INPUT') => {
    expect(answer).toMatchObject({
      status,
      json: { error: { code, message: expect.any(String), remedy: expect.any(String) } },
    })
    expect(Object.keys(answer.json.error)).toEqual(['code', 'message', 'remedy'])
  }

  it('refuses what is no PNG, JPEG or WebP, whatever it is called', async () => {
    const { url } = await serving([classifier()])
    const svg = '<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"><rect width="8" height="8"/></svg>'
    const gif = await picture().gif().toBuffer()
    for (const body of [svg, gif, 'hello']) {
      problem(await post(`${url}/v1/classify/shapes`, body, { 'content-type': 'image/png' }), 415)
    }
    problem(await post(`${url}/v1/classify/shapes`, ''), 400)
  })

  it('refuses damaged pictures', async () => {
    const { url } = await serving([classifier()])
    const noise = Buffer.from(Array.from({ length: 64 * 64 * 3 }, (_, i) => (i * 2654435761) >>> 24))
    const raw = sharp(noise, { raw: { width: 64, height: 64, channels: 3 } })
    for (const whole of [await raw.png().toBuffer(), await raw.jpeg().toBuffer()]) {
      problem(await post(`${url}/v1/classify/shapes`, whole.subarray(0, whole.length / 2)), 400)
      problem(await post(`${url}/v1/classify/shapes`, whole.subarray(0, 12)), 400)
    }
  })

  it('refuses a PNG bomb before it is decoded, and files beyond the limit', async () => {
    const { url } = await serving([classifier()], { imageBytes: 200_000 })
    const started = Date.now()
    problem(await post(`${url}/v1/classify/shapes`, bomb(50_000, 50_000)), 413)
    expect(Date.now() - started).toBeLessThan(2000)
    problem(await post(`${url}/v1/classify/shapes`, Buffer.alloc(200_001, 0x89)), 413)
    expect((await get(`${url}/v2/health/live`)).status).toBe(200)
  })

  it('says what is wrong with the model', async () => {
    const tensors = fakeModel({ name: 'tensors', inputs: [input, { ...input, name: 'b' }], outputs: scores })
    const { url } = await serving([tensors, classifier({ image: { fit: 'stretch' } })])
    const body = await picture().png().toBuffer()
    problem(await post(`${url}/v1/classify/nobody`, body), 404, 'MODEL_NOT_FOUND')
    problem(await post(`${url}/v1/classify/tensors`, body), 501, 'NOT_SUPPORTED')
    problem(await post(`${url}/v1/classify/shapes`, body), 422, 'CONFIG_INVALID')
  })
})

/** A PNG that says it is width × height grey pixels of one colour; its data is small. */
function bomb(width: number, height: number): Buffer {
  const head = Buffer.alloc(13)
  head.writeUInt32BE(width)
  head.writeUInt32BE(height, 4)
  head.set([8, 0, 0, 0, 0], 8)
  const data = deflateSync(Buffer.alloc(50_000_000), { level: 9 })
  const magic = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])
  return Buffer.concat([magic, chunk('IHDR', head), chunk('IDAT', data), chunk('IEND', Buffer.alloc(0))])
}
