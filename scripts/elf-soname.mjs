// Renames the SONAME of an ELF library in place. patchelf does the same for names of any length by moving the string
// table; a name that is not longer than the old one needs no tool and leaves every offset where it was.

const PT_LOAD = 1
const PT_DYNAMIC = 2
const DT_NULL = 0n
const DT_STRTAB = 5n
const DT_SONAME = 14n

/** Finds the SONAME of a 64-bit little-endian ELF image: its name and where the string lies in the file. */
export function findSoname(image) {
  if (image.readUInt32BE(0) !== 0x7f454c46 || image[4] !== 2 || image[5] !== 1) throw new Error('not a 64-bit ELF file')
  const segments = programHeaders(image)
  const dynamic = segments.find((segment) => segment.type === PT_DYNAMIC)
  if (!dynamic) throw new Error('not a shared library: no dynamic section')

  let strings
  let name
  for (let at = dynamic.offset; ; at += 16) {
    const tag = image.readBigInt64LE(at)
    const value = Number(image.readBigUInt64LE(at + 8))
    if (tag === DT_NULL) break
    if (tag === DT_STRTAB) strings = fileOffset(segments, value)
    if (tag === DT_SONAME) name = value
  }
  if (strings === undefined || name === undefined) throw new Error('the library has no SONAME')

  const start = strings + name
  const end = image.indexOf(0, start)
  return { soname: image.toString('latin1', start, end), start, end }
}

/** Writes `soname` over the old one. The base entry of the version definitions shares the string and follows. */
export function setSoname(image, soname) {
  const old = findSoname(image)
  if (soname.length > old.end - old.start) throw new Error(`'${soname}' is longer than '${old.soname}'`)
  image.fill(0, old.start, old.end)
  image.write(soname, old.start, 'latin1')
}

function programHeaders(image) {
  const table = Number(image.readBigUInt64LE(32))
  const size = image.readUInt16LE(54)
  const count = image.readUInt16LE(56)
  return Array.from({ length: count }, (_, i) => {
    const at = table + i * size
    return {
      type: image.readUInt32LE(at),
      offset: Number(image.readBigUInt64LE(at + 8)),
      address: Number(image.readBigUInt64LE(at + 16)),
      fileSize: Number(image.readBigUInt64LE(at + 32)),
    }
  })
}

function fileOffset(segments, address) {
  const inside = segments.find(
    (segment) => segment.type === PT_LOAD && address >= segment.address && address < segment.address + segment.fileSize,
  )
  if (!inside) throw new Error('the string table is outside the file')
  return address - inside.address + inside.offset
}
