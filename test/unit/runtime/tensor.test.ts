import { expect, it } from 'vitest'
import { Tensor } from '../../../src/runtime/tensor.js'
import { thrown } from '../repository/thrown.js'

it('FP16 bits widen to FP32, subnormals, infinities and NaN included', () => {
  const bits = Uint16Array.of(0x0000, 0x8000, 0x3c00, 0xc000, 0x7bff, 0x0001, 0x03ff, 0x7c00, 0xfc00, 0x7e00)
  const wide = new Tensor('FP16', [10], bits).toFloat32()
  const wanted = [
    0,
    -0,
    1,
    -2,
    65504,
    2 ** -24,
    1023 * 2 ** -24,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
    Number.NaN,
  ]
  expect([...wide]).toEqual(wanted)
})

it('BF16 bits widen to FP32', () => {
  const wide = new Tensor('BF16', [4], Uint16Array.of(0x3fc0, 0xc000, 0x4049, 0x7f80)).toFloat32()
  expect([...wide]).toEqual([1.5, -2, 3.140625, Number.POSITIVE_INFINITY])
})

it('integers and doubles are converted, FP32 is given as it is', () => {
  const data = Float32Array.of(1, 2)
  expect(new Tensor('FP32', [2], data).toFloat32()).toBe(data)
  expect([...new Tensor('INT64', [2], BigInt64Array.of(-3n, 4n)).toFloat32()]).toEqual([-3, 4])
  expect([...new Tensor('FP64', [1], Float64Array.of(0.5)).toFloat32()]).toEqual([0.5])
  expect([...new Tensor('BOOL', [2], Uint8Array.of(1, 0)).toFloat32()]).toEqual([1, 0])
})

it('strings have no FP32 form', () => {
  expect(thrown(() => new Tensor('BYTES', [1], ['a']).toFloat32())).toMatchObject({ code: 'NOT_SUPPORTED' })
})
