import { type Datatype, type NumericData, STORAGE } from '../runtime/datatype.js'
import { bfloat16Bits, float16Bits } from '../runtime/half.js'
import { Tensor } from '../runtime/tensor.js'

/** Whole numbers from `least` to `most` that a type holds exactly, without gaps. */
const WHOLE: Readonly<Record<Exclude<Datatype, 'BYTES'>, readonly [least: bigint, most: bigint]>> = {
  BOOL: [0n, 1n],
  UINT8: [0n, 255n],
  UINT16: [0n, 2n ** 16n - 1n],
  UINT32: [0n, 2n ** 32n - 1n],
  UINT64: [0n, 2n ** 64n - 1n],
  INT8: [-128n, 127n],
  INT16: [-(2n ** 15n), 2n ** 15n - 1n],
  INT32: [-(2n ** 31n), 2n ** 31n - 1n],
  INT64: [-(2n ** 63n), 2n ** 63n - 1n],
  FP16: [-(2n ** 11n), 2n ** 11n],
  BF16: [-(2n ** 8n), 2n ** 8n],
  FP32: [-(2n ** 24n), 2n ** 24n],
  FP64: [-(2n ** 53n), 2n ** 53n],
}

const FLOATS: readonly Datatype[] = ['FP16', 'BF16', 'FP32', 'FP64']
/** Which floating-point types hold all values of another. */
const WIDER: Readonly<Partial<Record<Datatype, readonly Datatype[]>>> = {
  FP16: ['FP32', 'FP64'],
  BF16: ['FP32', 'FP64'],
  FP32: ['FP64'],
}

/** Why an array cannot become elements of `to` without a change of any number; undefined where it can. */
export function misfit(from: Datatype, data: NumericData, to: Datatype): string | undefined {
  if (from === to || WIDER[from]?.includes(to)) return undefined
  if (to === 'BYTES' || from === 'BYTES' || FLOATS.includes(from)) return `it is ${from}`
  const [least, most] = WHOLE[to]
  const [ownLeast, ownMost] = WHOLE[from]
  if (ownLeast >= least && ownMost <= most) return undefined
  // Python's whole numbers are saved as 64 bits, however small they are: the values decide.
  for (let i = 0; i < data.length; i++) {
    const value = data[i] as number | bigint
    if (value < least || value > most) return `it is ${from} and has ${value} at index ${i}`
  }
  return undefined
}

/** Elements as those of another type that holds them (see {@link misfit}). */
export function converted(from: Datatype, data: NumericData, to: Datatype): NumericData {
  if (from === to) return data
  const { array } = STORAGE[to]
  const out = new array(data.length)
  const wide = FLOATS.includes(from) ? new Tensor(from, [data.length], data as never).toFloat32() : data
  const element = elementOf(to)
  for (let i = 0; i < out.length; i++) out[i] = element(wide[i] as number | bigint) as never
  return out
}

function elementOf(to: Datatype): (value: number | bigint) => number | bigint {
  if (to === 'FP16') return (value) => float16Bits(Number(value))
  if (to === 'BF16') return (value) => bfloat16Bits(Number(value))
  return to === 'INT64' || to === 'UINT64' ? BigInt : Number
}
