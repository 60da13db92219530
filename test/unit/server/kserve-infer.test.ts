import { describe, expect, it } from 'vitest'
import type { Datatype } from '../../../src/runtime/datatype.js'
import { budgetLeft } from '../../../src/runtime/deadline.js'
import { markServedBy } from '../../../src/runtime/variant.js'
import { fakeModel } from '../../../src/testing.js'
import { echoModel, post, serving, vector } from './running-server.js'

const one = (name: string, datatype: Datatype, shape: number[]) => [{ name, datatype, shape }]

describe('KServe v2 inference with JSON', () => {
  it('answers with tensors, the id, and where the time went', async () => {
    const { url } = await serving([echoModel(vector)])
    const inputs = [{ name: 'x', datatype: 'FP32', shape: [2, 2], data: [1, 2.5, -3, 4] }]
    const answer = await post(`${url}/v2/models/echo/infer`, { id: 'a"b', inputs })
    expect(answer.json).toEqual({
      model_name: 'echo',
      model_version: '1',
      id: 'a"b',
      outputs: [{ name: 'x_out', datatype: 'FP32', shape: [2, 2], data: [1, 2.5, -3, 4] }],
    })
    expect(answer.headers.get('content-type')).toContain('application/json')
    expect(answer.headers.get('server-timing')).toMatch(/compute;dur=[\d.]+/)
    expect(answer.headers.get('inference-header-content-length')).toBeNull()
  })

  it('says when a cheaper variant answered', async () => {
    const dear = echoModel(vector, {}, { name: 'dear' })
    const infer = dear.infer.bind(dear)
    dear.infer = async (...given) => markServedBy(await infer(...given), 'cheap')
    const { url } = await serving([dear])
    const inputs = [{ name: 'x', datatype: 'FP32', shape: [1, 2], data: [1, 2] }]
    const answer = await post(`${url}/v2/models/dear/infer`, { inputs })
    expect(answer.json).toMatchObject({ model_name: 'dear', parameters: { served_by: 'cheap' } })
  })

  it('takes nested data, scalars and tensors without elements', async () => {
    const { url } = await serving([
      echoModel(vector, {}, { name: 'nested' }),
      echoModel(one('x', 'FP32', []), {}, { name: 'scalar' }),
      echoModel(one('x', 'FP32', [-1]), {}, { name: 'empty' }),
    ])
    const ask = async (model: string, shape: number[], data?: unknown) =>
      (await post(`${url}/v2/models/${model}/infer`, { inputs: [{ name: 'x', datatype: 'FP32', shape, data }] })).json
    expect(
      (
        await ask(
          'nested',
          [2, 2],
          [
            [1, 2],
            [3, 4],
          ],
        )
      ).outputs[0].data,
    ).toEqual([1, 2, 3, 4])
    expect((await ask('scalar', [], [7])).outputs[0]).toMatchObject({ shape: [], data: [7] })
    expect((await ask('scalar', [], 7)).outputs[0].data).toEqual([7])
    expect((await ask('empty', [0], [])).outputs[0]).toMatchObject({ shape: [0], data: [] })
    expect((await ask('empty', [0])).outputs[0].data).toEqual([])
  })

  const values: [Datatype, string][] = [
    ['BOOL', 'true,false'],
    ['UINT8', '0,255'],
    ['UINT16', '0,65535'],
    ['UINT32', '0,4294967295'],
    ['UINT64', '0,18446744073709551615'],
    ['INT8', '-128,127'],
    ['INT16', '-32768,32767'],
    ['INT32', '-2147483648,2147483647'],
    ['INT64', '-9223372036854775808,9007199254740993'],
    ['FP32', '0.5,-2'],
    ['FP64', '0.1234567890123456,12345678901234568'],
    ['BYTES', '"größe","\\u0000\\"9007199254740993"'],
  ]
  it.each(values)('carries %s exactly', async (datatype, data) => {
    const { url } = await serving([echoModel(one('x', datatype, [2]))])
    const body = `{"inputs":[{"name":"x","datatype":"${datatype}","shape":[2],"data":[${data}]}]}`
    const response = await fetch(`${url}/v2/models/echo/infer`, { method: 'POST', body })
    const text = await response.text()
    expect(response.status, text).toBe(200)
    if (datatype === 'BYTES') expect(JSON.parse(text).outputs[0].data).toEqual(JSON.parse(`[${data}]`))
    else expect(text).toContain(`"data":[${data}]`)
  })

  it('writes what JSON has no number for as proto3 JSON does, and reads it back', async () => {
    const { url } = await serving([echoModel(one('x', 'FP32', [3]))])
    const inputs = [{ name: 'x', datatype: 'FP32', shape: [3], data: ['NaN', '-Infinity', 1] }]
    const answer = await post(`${url}/v2/models/echo/infer`, { inputs })
    expect(answer.json.outputs[0].data).toEqual(['NaN', '-Infinity', 1])
  })

  it.each(['FP16', 'BF16'] as const)('takes and gives %s as binary data only', async (datatype) => {
    const { url } = await serving([echoModel(one('x', datatype, [1]))])
    const sent = await post(`${url}/v2/models/echo/infer`, { inputs: [{ name: 'x', datatype, shape: [1], data: [1] }] })
    const sentence = `sending ${datatype} data via JSON is not supported. Please use the binary data format`
    expect(sent).toMatchObject({ status: 400, json: { error: expect.stringContaining(sentence) } })
    const given = fakeModel({ name: 'gives', inputs: [], outputs: one('y', datatype, [1]) })
    const { url: other } = await serving([given])
    const got = await post(`${other}/v2/models/gives/infer`, { inputs: [] })
    expect(got).toMatchObject({ status: 400, json: { error: expect.stringContaining(sentence) } })
  })

  it('gives only the outputs that are asked for, in that order', async () => {
    const outputs = [...one('a', 'FP32', [1]), ...one('b', 'FP32', [1]), ...one('c', 'FP32', [1])]
    const model = fakeModel({ inputs: [], outputs }, { outputs: { a: [1], b: [2], c: [3] } })
    const { url } = await serving([model])
    const answer = await post(`${url}/v2/models/fake/infer`, { inputs: [], outputs: [{ name: 'c' }, { name: 'a' }] })
    expect(answer.json.outputs.map((o: { name: string }) => o.name)).toEqual(['c', 'a'])
  })

  it('takes a tensor called __proto__ for a name like any other', async () => {
    const { url } = await serving([echoModel(one('__proto__', 'FP32', [1]))])
    const body = '{"inputs":[{"name":"__proto__","datatype":"FP32","shape":[1],"data":[5]}],"__proto__":{"id":"x"}}'
    const answer = await post(`${url}/v2/models/echo/infer`, body)
    expect(answer.json.outputs).toEqual([{ name: '__proto___out', datatype: 'FP32', shape: [1], data: [5] }])
    expect(({} as { id?: string }).id).toBeUndefined()
    const polluted = await post(`${url}/v2/models/echo/infer`, '{"inputs":[{"name":"constructor"}]}')
    expect(polluted.status).toBe(400)
  })

  it('passes priority, timeout and the deadline on', async () => {
    const model = echoModel(vector)
    const seen: unknown[] = []
    const infer = model.infer.bind(model)
    model.infer = (inputs, options) => {
      seen.push({ ...options, left: budgetLeft(undefined) })
      return infer(inputs, options)
    }
    const { url } = await serving([model])
    const inputs = [{ name: 'x', datatype: 'FP32', shape: [1, 2], data: [1, 2] }]
    const body = { id: 'i', parameters: { priority: 2, timeout: 5000 }, inputs }
    await post(`${url}/v2/models/echo/infer`, body, { 'x-request-deadline': '1250' })
    expect(seen[0]).toMatchObject({ id: 'i', priority: 2, timeoutUs: 5000 })
    // What reading the request took is gone.
    const { left } = seen[0] as { left: number }
    expect(left).toBeGreaterThan(0)
    expect(left).toBeLessThan(1250)
  })

  it('answers 504 when the deadline passes, and at once when it has passed on arrival', async () => {
    const { url } = await serving([echoModel(vector, { latencyMs: 100 })])
    const inputs = [{ name: 'x', datatype: 'FP32', shape: [1, 2], data: [1, 2] }]
    const ask = (left: string) => post(`${url}/v2/models/echo/infer`, { inputs }, { 'x-request-deadline': left })
    expect((await ask('5')).status).toBe(504)
    expect((await ask('0')).status).toBe(504)
    expect((await ask('soon')).status).toBe(400)
  })

  it('takes the deadline of grpc-timeout too, and the earlier of two', async () => {
    const { url } = await serving([echoModel(vector, { latencyMs: 100 })])
    const inputs = [{ name: 'x', datatype: 'FP32', shape: [1, 2], data: [1, 2] }]
    const ask = async (headers: Record<string, string>): Promise<number> =>
      (await post(`${url}/v2/models/echo/infer`, { inputs }, headers)).status
    expect(await ask({ 'grpc-timeout': '5m' })).toBe(504)
    expect(await ask({ 'grpc-timeout': '5000u' })).toBe(504)
    expect(await ask({ 'grpc-timeout': '20S' })).toBe(200)
    expect(await ask({ 'grpc-timeout': '20S', 'x-request-deadline': '5' })).toBe(504)
    expect(await ask({ 'grpc-timeout': '5m', 'x-request-deadline': '20000' })).toBe(504)
    expect(await ask({ 'grpc-timeout': '5' })).toBe(400)
    expect(await ask({ 'grpc-timeout': '123456789m' })).toBe(400)
  })

  it('takes off the deadline what reading the request took', async () => {
    const model = echoModel(vector)
    const { url } = await serving([model])
    const inputs = [{ name: 'x', datatype: 'FP32', shape: [1, 2], data: [1, 2] }]
    const text = JSON.stringify({ inputs })
    const slowly = async function* (): AsyncGenerator<Uint8Array> {
      yield Buffer.from(text.slice(0, 10))
      await new Promise((resolve) => setTimeout(resolve, 120))
      yield Buffer.from(text.slice(10))
    }
    const ask = (left: string): Promise<Response> => {
      const given = { method: 'POST', headers: { 'x-request-deadline': left }, duplex: 'half' }
      return fetch(`${url}/v2/models/echo/infer`, { ...given, body: ReadableStream.from(slowly()) } as RequestInit)
    }
    expect((await ask('100')).status).toBe(504)
    expect(model.stats().requests.submitted).toBe(0)
    expect((await ask('30000')).status).toBe(200)
  })

  it('cancels the request of a client that goes away', async () => {
    const model = echoModel(vector, { latencyMs: 5000 })
    const { url } = await serving([model])
    const body = JSON.stringify({ inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2], data: [1, 2] }] })
    const controller = new AbortController()
    const answer = fetch(`${url}/v2/models/echo/infer`, { method: 'POST', body, signal: controller.signal })
    while (model.stats().requests.inFlight === 0) await new Promise((resolve) => setTimeout(resolve, 5))
    controller.abort()
    await expect(answer).rejects.toThrow()
    while (model.stats().requests.cancelled === 0) await new Promise((resolve) => setTimeout(resolve, 5))
    expect(model.stats().requests.inFlight).toBe(0)
  })

  it('answers a failing engine with 500 and goes on', async () => {
    const { url } = await serving([echoModel(vector, { failEvery: 2 })])
    const body = { inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2], data: [1, 2] }] }
    const statuses = []
    for (let i = 0; i < 4; i++) statuses.push((await post(`${url}/v2/models/echo/infer`, body)).status)
    expect(statuses).toEqual([200, 500, 200, 500])
  })
})
