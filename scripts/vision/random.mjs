// Random numbers that depend on nothing but what they are seeded with: a picture is the same whichever is made first.

/** A generator seeded by words and numbers, e.g. `seeded('heldout', 17)`. The state is sfc32's, 128 bits. */
export function seeded(...parts) {
  let [a, b, c, d] = hash(parts.join('/'))
  const next32 = () => {
    const sum = (((a + b) | 0) + d) | 0
    d = (d + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = ((c << 21) | (c >>> 11)) + sum
    return sum >>> 0
  }
  for (let i = 0; i < 12; i++) next32()
  const unit = () => next32() / 4294967296
  const range = (low, high) => low + (high - low) * unit()
  return {
    /** 0 ≤ value < 1. */
    unit,
    range,
    /** A whole number, both ends included. */
    whole: (low, high) => Math.floor(range(low, high + 1)),
    chance: (probability) => unit() < probability,
    pick: (list) => list[Math.floor(unit() * list.length)],
    /** Bell-shaped, variance 1: a sum of four uniform numbers, since Math.log is not the same everywhere to the bit. */
    bell: () => (unit() + unit() + unit() + unit() - 2) * Math.sqrt(3),
  }
}

/** FNV-1a over the text with four different offsets. */
function hash(text) {
  return [0x811c9dc5, 0x9e3779b9, 0x85ebca6b, 0xc2b2ae35].map((start) => {
    let value = start
    for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193)
    return value | 0
  })
}
