/** Widens IEEE 754 binary16 bits to FP32. */
export function float16ToFloat32(bits: Uint16Array): Float32Array {
  const out = new Float32Array(bits.length)
  for (let i = 0; i < bits.length; i++) out[i] = half(bits[i] as number)
  return out
}

function half(h: number): number {
  const sign = h & 0x8000 ? -1 : 1
  const exponent = (h >> 10) & 0x1f
  const fraction = h & 0x3ff
  if (exponent === 0) return sign * fraction * 2 ** -24
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}

/** Widens bfloat16 bits (the upper half of an FP32) to FP32. */
export function bfloat16ToFloat32(bits: Uint16Array): Float32Array {
  const words = new Uint32Array(bits.length)
  for (let i = 0; i < bits.length; i++) words[i] = (bits[i] as number) << 16
  return new Float32Array(words.buffer)
}

/** The binary16 bits nearest to a number; ties go to even bits. */
export function float16Bits(value: number): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0
  const size = Math.abs(value)
  if (Number.isNaN(value)) return 0x7e00
  if (size >= 65520) return sign | 0x7c00
  // Below 2^-14 the steps are those of the smallest exponent.
  const exponent = Math.max(-14, exponentOf(size))
  const steps = nearestEven(size * 2 ** (10 - exponent))
  // A fraction that is rounded up to the next power of two carries into the exponent by itself.
  return sign | (exponent === -14 && steps < 1024 ? steps : ((exponent + 15) << 10) + steps - 1024)
}

/** The bfloat16 bits nearest to a number; ties go to even bits. */
export function bfloat16Bits(value: number): number {
  if (Number.isNaN(value)) return 0x7fc0
  const word = new Uint32Array(Float32Array.of(value).buffer)[0] as number
  return (word + 0x7fff + ((word >>> 16) & 1)) >>> 16
}

/** floor(log2(size)), exactly; size > 0 is below 2^17. */
function exponentOf(size: number): number {
  let exponent = Math.floor(Math.log2(size))
  if (2 ** exponent > size) exponent--
  else if (2 ** (exponent + 1) <= size) exponent++
  return exponent
}

/** The nearest whole number; a half goes to the even one. */
export function nearestEven(value: number): number {
  const below = Math.floor(value)
  const over = value - below
  return over > 0.5 || (over === 0.5 && below % 2 !== 0) ? below + 1 : below
}
