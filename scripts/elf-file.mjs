// Reads what the scripts and tests want to know of a 64-bit little-endian ELF file: which libraries it needs and which
// symbols it exports. No tool of the system is required.

const PT_LOAD = 1
const PT_DYNAMIC = 2
const DT_NEEDED = 1
const DT_STRTAB = 5
const DT_SYMTAB = 6
const DT_SONAME = 14
const SHT_DYNSYM = 11

/** The names in DT_NEEDED, in their order, and the SONAME if there is one. */
export function needsOf(image) {
  const { strings, tags } = dynamicOf(image)
  const name = (value) => textAt(image, strings + value)
  return {
    needed: tags.filter(([tag]) => tag === DT_NEEDED).map(([, value]) => name(value)),
    soname: tags.filter(([tag]) => tag === DT_SONAME).map(([, value]) => name(value))[0],
  }
}

/** The names of the defined dynamic symbols that are visible to others. */
export function exportsOf(image) {
  const { strings, symbols } = dynamicOf(image)
  const names = []
  for (let at = symbols, left = countOfSymbols(image); left > 0; at += 24, left--) {
    const bound = image[at + 4] >> 4
    const section = image.readUInt16LE(at + 6)
    if (bound !== 0 && section !== 0) names.push(textAt(image, strings + image.readUInt32LE(at)))
  }
  return names
}

function dynamicOf(image) {
  if (image.readUInt32BE(0) !== 0x7f454c46 || image[4] !== 2 || image[5] !== 1) throw new Error('not a 64-bit ELF file')
  const segments = headers(image, 32, 54, (at) => ({
    type: image.readUInt32LE(at),
    offset: word(image, at + 8),
    address: word(image, at + 16),
    size: word(image, at + 32),
  }))
  const dynamic = segments.find(({ type }) => type === PT_DYNAMIC)
  if (!dynamic) throw new Error('no dynamic section')
  const tags = []
  for (let at = dynamic.offset; at < dynamic.offset + dynamic.size; at += 16) {
    tags.push([word(image, at), word(image, at + 8)])
  }
  const place = (wanted) => {
    const address = tags.find(([tag]) => tag === wanted)?.[1]
    const inside = segments.find((s) => s.type === PT_LOAD && address >= s.address && address < s.address + s.size)
    if (!inside) throw new Error('a dynamic table is outside the file')
    return address - inside.address + inside.offset
  }
  return { tags, strings: place(DT_STRTAB), symbols: place(DT_SYMTAB) }
}

function countOfSymbols(image) {
  const sections = headers(image, 40, 58, (at) => ({ type: image.readUInt32LE(at + 4), size: word(image, at + 32) }))
  return (sections.find(({ type }) => type === SHT_DYNSYM)?.size ?? 0) / 24
}

function headers(image, offsetAt, sizeAt, read) {
  const table = word(image, offsetAt)
  const size = image.readUInt16LE(sizeAt)
  return Array.from({ length: image.readUInt16LE(sizeAt + 2) }, (_, i) => read(table + i * size))
}

const word = (image, at) => Number(image.readBigUInt64LE(at))
const textAt = (image, at) => image.toString('latin1', at, image.indexOf(0, at))
