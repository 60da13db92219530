// Device code in shared libraries of CUDA: a library carries its kernels once for every architecture, and a machine needs one.
//
// The section .nv_fatbin is a row of containers: magic, version u16, header bytes u16, content bytes u64; the content is
// a row of entries: kind u16 (1 PTX, 2 machine code), version u16, header bytes u32, payload bytes u64, …, architecture
// u32 at byte 28. (No public specification; read off libraries of CUDA 12 and 13.)
const MAGIC = 0xba55ed50

/**
 * Overwrites with zeros, in place, the code of all architectures but one where a container has that one. Lengths and
 * offsets stay, so that the library loads as before; compressed it is much smaller.
 *
 * @param {Buffer} library a 64-bit little-endian ELF file
 * @param {number} architecture 90 for sm_90
 * @returns {{ kept: number, cleared: number }} bytes of code
 */
export function keepArchitecture(library, architecture) {
  const totals = { kept: 0, cleared: 0 }
  const section = sectionNamed(library, '.nv_fatbin')
  if (!section) return totals
  for (let at = section.offset; at + 16 <= section.end; ) {
    if (library.readUInt32LE(at) !== MAGIC) {
      at += 8
      continue
    }
    const first = at + library.readUInt16LE(at + 6)
    const end = first + Number(library.readBigUInt64LE(at + 8))
    const entries = entriesOf(library, first, end)
    const wanted = entries.some((entry) => entry.architecture === architecture)
    for (const entry of entries) {
      const clear = wanted && entry.architecture !== architecture
      if (clear) library.fill(0, entry.start, entry.end)
      totals[clear ? 'cleared' : 'kept'] += entry.end - entry.start
    }
    at = end
  }
  return totals
}

function entriesOf(library, first, end) {
  const entries = []
  for (let at = first; at < end; ) {
    const start = at + library.readUInt32LE(at + 4)
    const after = start + Number(library.readBigUInt64LE(at + 8))
    if (after > end) throw new Error('device code that this script cannot read: an entry reaches over its container')
    entries.push({ architecture: library.readUInt32LE(at + 28), start, end: after })
    at = after
  }
  return entries
}

function sectionNamed(library, name) {
  const table = Number(library.readBigUInt64LE(40))
  const size = library.readUInt16LE(58)
  const header = (index) => {
    const at = table + index * size
    const offset = Number(library.readBigUInt64LE(at + 24))
    return { name: library.readUInt32LE(at), offset, end: offset + Number(library.readBigUInt64LE(at + 32)) }
  }
  const names = header(library.readUInt16LE(62)).offset
  for (let index = 0; index < library.readUInt16LE(60); index++) {
    const section = header(index)
    const start = names + section.name
    if (library.toString('latin1', start, library.indexOf(0, start)) === name) return section
  }
  return undefined
}
