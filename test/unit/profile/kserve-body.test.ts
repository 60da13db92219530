import { describe, expect, it } from 'vitest'
import { binaryBody, jsonBody } from '../../../src/profile/kserve-body.js'
import type { TensorSpec } from '../../../src/runtime/types.js'

const specs: TensorSpec[] = [
  { name: 'x', datatype: 'FP32', shape: [-1, 2] },
  { name: 'n', datatype: 'INT64', shape: [1] },
  { name: 's', datatype: 'BYTES', shape: [2] },
  { name: 'h', datatype: 'FP16', shape: [1] },
]
const json = (bytes: Uint8Array): unknown => JSON.parse(Buffer.from(bytes).toString())

describe('a body of the KServe protocol', () => {
  it('has its tensors as JSON, with the shape that the elements make', () => {
    const inputs = { x: Float32Array.of(1, 2, 3, 4), n: BigInt64Array.of(5n), s: ['a', 'b'] }
    expect(json(jsonBody(specs, inputs))).toEqual({
      inputs: [
        { name: 'x', datatype: 'FP32', shape: [2, 2], data: [1, 2, 3, 4] },
        { name: 'n', datatype: 'INT64', shape: [1], data: [5] },
        { name: 's', datatype: 'BYTES', shape: [2], data: ['a', 'b'] },
      ],
    })
    expect(() => jsonBody(specs, { h: Uint16Array.of(0) })).toThrowError(/FP16, which JSON cannot carry/)
    expect(() => jsonBody(specs, { y: Float32Array.of(0) })).toThrowError(/no input 'y'/)
  })

  it('has its tensors as bytes behind a header of the length it says', () => {
    const { bytes, headerLength } = binaryBody(specs, {
      x: { data: Float32Array.of(1, 2), shape: [1, 2] },
      s: ['ab', 'c'],
    })
    expect(json(bytes.subarray(0, headerLength))).toEqual({
      inputs: [
        { name: 'x', datatype: 'FP32', shape: [1, 2], parameters: { binary_data_size: 8 } },
        { name: 's', datatype: 'BYTES', shape: [2], parameters: { binary_data_size: 11 } },
      ],
      parameters: { binary_data_output: true },
    })
    const data = Buffer.from(bytes.subarray(headerLength))
    expect([data.readFloatLE(0), data.readFloatLE(4), data.readUInt32LE(8)]).toEqual([1, 2, 2])
    expect(data.subarray(12).toString('latin1')).toBe('ab\u0001\u0000\u0000\u0000c')
  })
})
