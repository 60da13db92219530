import { describe, expect, it } from 'vitest'
import type { Datatype } from '../../../src/runtime/datatype.js'
import { echoModel, post, serving } from './running-server.js'

const one = (name: string, datatype: Datatype, shape: number[]) => [{ name, datatype, shape }]

function packed(header: unknown, ...parts: Uint8Array[]): { body: Buffer; headers: Record<string, string> } {
  const json = Buffer.from(JSON.stringify(header))
  return { body: Buffer.concat([json, ...parts]), headers: { 'inference-header-content-length': String(json.length) } }
}

async function exchange(url: string, header: unknown, ...parts: Uint8Array[]) {
  const { body, headers } = packed(header, ...parts)
  const response = await fetch(`${url}/v2/models/echo/infer`, { method: 'POST', body, headers })
  const bytes = Buffer.from(await response.arrayBuffer())
  const length = Number(response.headers.get('inference-header-content-length') ?? bytes.length)
  return { response, json: JSON.parse(bytes.subarray(0, length).toString()), rest: bytes.subarray(length) }
}

const bytesOf = (data: ArrayBufferView) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength)

describe('KServe v2 binary tensor data', () => {
  it.each([0, 1, 2, 3])('reads and writes FP32 wherever it lies in the body (%i)', async (pad) => {
    const { url } = await serving([echoModel(one('x', 'FP32', [-1]))])
    const data = new Float32Array([1.5, -2, 3e-9])
    const input = { name: 'x', datatype: 'FP32', shape: [3], parameters: { binary_data_size: 12 } }
    const header = { id: 'x'.repeat(pad + 1), inputs: [input], parameters: { binary_data_output: true } }
    const { response, json, rest } = await exchange(url, header, bytesOf(data))
    expect(response.headers.get('content-type')).toBe('application/octet-stream')
    expect(json.outputs).toEqual([
      { name: 'x_out', datatype: 'FP32', shape: [3], parameters: { binary_data_size: 12 } },
    ])
    expect(new Float32Array(rest.buffer.slice(rest.byteOffset, rest.byteOffset + 12))).toEqual(data)
  })

  it('carries FP16 bits and BYTES elements', async () => {
    const half = await serving([echoModel(one('x', 'FP16', [2]))])
    const bits = new Uint16Array([0x3c00, 0xc000])
    const input = { name: 'x', datatype: 'FP16', shape: [2], parameters: { binary_data_size: 4 } }
    const outputs = [{ name: 'x_out', parameters: { binary_data: true } }]
    expect((await exchange(half.url, { inputs: [input], outputs }, bytesOf(bits))).rest).toEqual(
      Buffer.from(bits.buffer),
    )

    const strings = await serving([echoModel(one('x', 'BYTES', [3]))])
    const elements = Buffer.from([2, 0, 0, 0, 0xff, 0xfe, 0, 0, 0, 0, 1, 0, 0, 0, 65])
    const text = { name: 'x', datatype: 'BYTES', shape: [3], parameters: { binary_data_size: elements.length } }
    expect((await exchange(strings.url, { inputs: [text], outputs }, elements)).rest).toEqual(elements)
    const asJson = await exchange(strings.url, { inputs: [text] }, elements)
    expect(asJson).toMatchObject({ response: { status: 400 }, json: { error: expect.stringContaining('UTF-8') } })
  })

  it('mixes JSON and binary tensors in one request', async () => {
    const { url } = await serving([
      echoModel([...one('a', 'INT32', [1]), ...one('b', 'UINT8', [2]), ...one('c', 'INT64', [1])]),
    ])
    const inputs = [
      { name: 'c', datatype: 'INT64', shape: [1], parameters: { binary_data_size: 8 } },
      { name: 'a', datatype: 'INT32', shape: [1], data: [7] },
      { name: 'b', datatype: 'UINT8', shape: [2], parameters: { binary_data_size: 2 } },
    ]
    const outputs = [{ name: 'b_out', parameters: { binary_data: true } }, { name: 'a_out' }, { name: 'c_out' }]
    const { json, rest } = await exchange(
      url,
      { inputs, outputs },
      bytesOf(new BigInt64Array([-5n])),
      Buffer.from([8, 9]),
    )
    expect(json.outputs.map((o: { data?: number[] }) => o.data)).toEqual([undefined, [7], [-5]])
    expect([...rest]).toEqual([8, 9])
  })

  const input = (parameters: object, shape: number[] = [2], more: object = {}) => ({
    inputs: [{ name: 'x', datatype: 'FP32', shape, parameters, ...more }],
  })
  const eight = Buffer.alloc(8)
  const refused: [string, unknown, Buffer, Record<string, string>?][] = [
    ['fewer bytes than announced', input({ binary_data_size: 8 }), Buffer.alloc(4)],
    ['more bytes than announced', input({ binary_data_size: 8 }), Buffer.alloc(12)],
    ['bytes that nothing announces', input({}, [2], { data: [1, 2] }), eight],
    ['a size that is not the shape’s', input({ binary_data_size: 8 }, [3]), eight],
    ['a negative size', input({ binary_data_size: -8 }), eight],
    ['a size that is no number', input({ binary_data_size: '8' }), eight],
    ['a size beyond all bytes', input({ binary_data_size: 2 ** 53 - 1 }), eight],
    ['data beside binary data', input({ binary_data_size: 8 }, [2], { data: [1, 2] }), eight],
    ['a shape whose product overflows', input({ binary_data_size: 8 }, [2 ** 32, 2 ** 32]), eight],
    ['a header length beyond the body', input({}), eight, { 'inference-header-content-length': '99999' }],
    ['a header length that is no number', input({}), eight, { 'inference-header-content-length': '-1' }],
    ['a huge header length', input({}), eight, { 'inference-header-content-length': '9'.repeat(40) }],
    ['a header length of nothing', input({}), eight, { 'inference-header-content-length': '0' }],
  ]
  it.each(refused)('refuses %s with 400', async (_what, header, bytes, headers) => {
    const { url } = await serving([echoModel(one('x', 'FP32', [-1]))])
    const packet = packed(header, bytes)
    const answer = await post(`${url}/v2/models/echo/infer`, packet.body, { ...packet.headers, ...headers })
    expect(answer).toMatchObject({ status: 400, json: { error: expect.any(String) } })
  })

  it.each([
    ['a count beyond its bytes', [2 ** 30], Buffer.alloc(8)],
    ['a length beyond its bytes', [1], Buffer.from([255, 255, 255, 255, 1])],
    ['a cut length', [2], Buffer.from([1, 0, 0, 0, 65, 0, 0, 0])],
    ['bytes left over', [1], Buffer.from([1, 0, 0, 0, 65, 66])],
  ])('refuses BYTES with %s', async (_what, shape, bytes) => {
    const { url } = await serving([echoModel(one('x', 'BYTES', [-1]))])
    const header = { inputs: [{ name: 'x', datatype: 'BYTES', shape, parameters: { binary_data_size: bytes.length } }] }
    expect((await exchange(url, header, bytes)).response.status).toBe(400)
  })
})
