import { connect } from 'node:net'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { echoModel, get, post, serving, vector } from './running-server.js'

const good = { name: 'x', datatype: 'FP32', shape: [1, 2], data: [1, 2] }

describe('bad input to /v2/models/{m}/infer', () => {
  const bad: [string, unknown][] = [
    ['no body', ''],
    ['no JSON', '{'],
    ['invalid UTF-8', Buffer.from([0x7b, 0xff, 0x7d])],
    ['an array', []],
    ['null', 'null'],
    ['no inputs', {}],
    ['inputs that are no array', { inputs: { x: 1 } }],
    ['an input that is null', { inputs: [null] }],
    ['an input without a name', { inputs: [{ datatype: 'FP32', shape: [1], data: [1] }] }],
    ['a missing input', { inputs: [] }],
    ['an unknown input', { inputs: [good, { ...good, name: 'y' }] }],
    ['an input twice', { inputs: [good, good] }],
    ['an unknown output', { inputs: [good], outputs: [{ name: 'nothing' }] }],
    ['an output twice', { inputs: [good], outputs: [{ name: 'x_out' }, { name: 'x_out' }] }],
    ['no datatype', { inputs: [{ ...good, datatype: undefined }] }],
    ['an unknown datatype', { inputs: [{ ...good, datatype: 'FP8' }] }],
    ['another datatype', { inputs: [{ ...good, datatype: 'INT32' }] }],
    ['no shape', { inputs: [{ ...good, shape: undefined }] }],
    ['a fraction in the shape', { inputs: [{ ...good, shape: [1, 2.5] }] }],
    ['a negative dimension', { inputs: [{ ...good, shape: [-1, -2] }] }],
    ['a shape that overflows', { inputs: [{ ...good, shape: [2 ** 31, 2 ** 31, 4] }] }],
    ['a shape that hides its overflow behind 0', { inputs: [{ ...good, shape: [0, 2 ** 40], data: [] }] }],
    ['a rank of thousands', { inputs: [{ ...good, shape: new Array(5000).fill(1), data: [1] }] }],
    ['another shape', { inputs: [{ ...good, shape: [1, 3], data: [1, 2, 3] }] }],
    ['too little data', { inputs: [{ ...good, data: [1] }] }],
    ['too much data', { inputs: [{ ...good, data: [1, 2, 3] }] }],
    ['nested data of another shape', { inputs: [{ ...good, shape: [2, 2], data: [[1, 2], [3]] }] }],
    ['data nested deeper than the shape', { inputs: [{ ...good, data: [[[1], [2]]] }] }],
    ['strings for numbers', { inputs: [{ ...good, data: ['1', '2'] }] }],
    ['null for a number', { inputs: [{ ...good, data: [1, null] }] }],
    ['an id that is no string', { id: 5, inputs: [good] }],
    ['a negative priority', { inputs: [good], parameters: { priority: -1 } }],
    ['parameters that are no object', { inputs: [good], parameters: [] }],
  ]
  it.each(bad)('%s is answered with 400 in the form of KServe', async (_what, body) => {
    const { url } = await serving([echoModel(vector)])
    const answer = await post(`${url}/v2/models/echo/infer`, body)
    expect(answer).toMatchObject({ status: 400, json: { error: expect.any(String) } })
    expect(Object.keys(answer.json)).toEqual(['error'])
    expect(answer.json.error).not.toMatch(/\n\s+at /)
  })

  it('refuses what would change the answer if it were passed over', async () => {
    const { url } = await serving([echoModel(vector)])
    const ask = (parameters: object) => post(`${url}/v2/models/echo/infer`, { inputs: [good], parameters })
    expect((await ask({ sequence_id: 3 })).status).toBe(501)
    expect((await ask({ sequence_id: 0, mine: 'x' })).status).toBe(200)
    const shared = { ...good, data: undefined, parameters: { shared_memory_region: 'r' } }
    expect((await post(`${url}/v2/models/echo/infer`, { inputs: [shared] })).status).toBe(501)
  })

  it('bounds integers, nesting, tensors and the body', async () => {
    const { url } = await serving([echoModel(vector)], { bodyBytes: 20_000, tensors: 3 })
    const ask = (body: unknown, headers = {}) => post(`${url}/v2/models/echo/infer`, body, headers)
    expect((await ask('['.repeat(1000) + ']'.repeat(1000))).json.error).toContain('nests deeper')
    expect((await ask({ inputs: new Array(4).fill(good) })).json.error).toContain('more than 3')
    expect((await ask('x'.repeat(20_001))).status).toBe(413)
    expect((await ask('x', { 'content-encoding': 'gzip' })).status).toBe(415)
    const long = `{"inputs":[{"name":"x","datatype":"FP32","shape":[1,2],"data":[1${'0'.repeat(500)},1]}]}`
    expect((await ask(long)).status).toBeLessThan(500)
    expect((await get(`${url}/v2/health/live`)).status).toBe(200)
  })

  it('stops reading a chunked body at its limit', async () => {
    const { url } = await serving([echoModel(vector)], { bodyBytes: 50_000 })
    const { port } = new URL(url)
    const answer = await new Promise<string>((resolve) => {
      const socket = connect(Number(port), '127.0.0.1')
      let text = ''
      socket.on('data', (chunk) => {
        text += chunk
      })
      socket.on('close', () => resolve(text))
      socket.on('error', () => resolve(text))
      socket.write(
        'POST /v2/models/echo/infer HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n',
      )
      socket.write('1\r\na\r\n'.repeat(60_000))
    })
    expect(answer).toContain('413')
    expect((await get(`${url}/v2/health/live`)).status).toBe(200)
  })

  it('refuses headers beyond the limit', async () => {
    const { url } = await serving([echoModel(vector)])
    const response = await fetch(`${url}/v2`, { headers: { 'x-long': 'y'.repeat(20_000) } })
    expect(response.status).toBe(431)
  })

  it('survives any JSON', async () => {
    const { url } = await serving([echoModel(vector)])
    const field = fc.oneof(fc.jsonValue(), fc.constantFrom('x', 'FP32', [1, 2], [1, 2]))
    const tensor = fc.record(
      { name: field, datatype: field, shape: field, data: field, parameters: field },
      { requiredKeys: [] },
    )
    const request = fc.record({
      id: field,
      inputs: fc.oneof(field, fc.array(tensor)),
      outputs: field,
      parameters: field,
    })
    await fc.assert(
      fc.asyncProperty(request, async (body) => {
        const { status } = await post(`${url}/v2/models/echo/infer`, body)
        expect([200, 400, 501]).toContain(status)
      }),
      { numRuns: 150 },
    )
  })
})
