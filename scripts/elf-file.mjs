// Reads what the scripts and tests want to know of a 64-bit little-endian ELF file: which libraries and versions it needs,
// which symbols it exports and imports, its processor and sections. No tool of the system is required.

const PT_LOAD = 1
const PT_DYNAMIC = 2
const DT_NEEDED = 1
const DT_STRTAB = 5
const DT_SYMTAB = 6
const DT_SONAME = 14
const DT_RPATH = 15
const DT_RUNPATH = 29
const DT_VERSYM = 0x6ffffff0
const DT_VERNEED = 0x6ffffffe
const DT_VERNEEDNUM = 0x6fffffff
const SHT_DYNSYM = 11
const MACHINES = { 62: 'x64', 183: 'arm64' }

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

/** The processor, by Node's name for it ('x64', 'arm64'), or the number of the format. */
export function machineOf(image) {
  requireElf(image)
  const number = image.readUInt16LE(18)
  return MACHINES[number] ?? String(number)
}

/** The folders that the file tells the loader to search (DT_RPATH, DT_RUNPATH). */
export function searchPathsOf(image) {
  const { strings, tags } = dynamicOf(image)
  const paths = tags.filter(([tag]) => tag === DT_RPATH || tag === DT_RUNPATH)
  return paths.map(([, value]) => textAt(image, strings + value))
}

/** The names of all sections: `.symtab` and `.debug_*` are what stripping removes. */
export function sectionNamesOf(image) {
  requireElf(image)
  const sections = headers(image, 40, 58, (at) => ({ name: image.readUInt32LE(at), offset: word(image, at + 24) }))
  const names = sections[image.readUInt16LE(62)]
  return names ? sections.map(({ name }) => textAt(image, names.offset + name)) : []
}

/** What the file wants of others: `[{ name, weak, version, library }]`; version and library only where it names them. */
export function importsOf(image) {
  const { strings, symbols, versionsAt } = dynamicOf(image)
  const versions = new Map(neededVersionsOf(image).map((each) => [each.index, each]))
  const imports = []
  for (let i = 1; i < countOfSymbols(image); i++) {
    const at = symbols + i * 24
    if (image.readUInt16LE(at + 6) !== 0) continue
    const { version, library } = versions.get(versionsAt ? image.readUInt16LE(versionsAt + i * 2) & 0x7fff : 0) ?? {}
    const name = textAt(image, strings + image.readUInt32LE(at))
    imports.push({ name, weak: image[at + 4] >> 4 === 2, version, library })
  }
  return imports
}

/** The versions that the file needs of its libraries: `[{ library, version, index }]`. */
export function neededVersionsOf(image) {
  const { strings, tags, place } = dynamicOf(image)
  const count = tags.find(([tag]) => tag === DT_VERNEEDNUM)?.[1] ?? 0
  const found = []
  for (let left = count, at = count ? place(DT_VERNEED) : 0; left > 0; left--) {
    const library = textAt(image, strings + image.readUInt32LE(at + 4))
    let entry = at + image.readUInt32LE(at + 8)
    for (let more = image.readUInt16LE(at + 2); more > 0; more--) {
      const version = textAt(image, strings + image.readUInt32LE(entry + 8))
      found.push({ library, version, index: image.readUInt16LE(entry + 6) })
      entry += image.readUInt32LE(entry + 12)
    }
    at += image.readUInt32LE(at + 12)
  }
  return found
}

function requireElf(image) {
  const isElf = image.length >= 64 && image.readUInt32BE(0) === 0x7f454c46 && image[4] === 2 && image[5] === 1
  if (!isElf) throw new Error('not a 64-bit ELF file')
}

function dynamicOf(image) {
  requireElf(image)
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
  const versionsAt = tags.some(([tag]) => tag === DT_VERSYM) ? place(DT_VERSYM) : undefined
  return { tags, place, strings: place(DT_STRTAB), symbols: place(DT_SYMTAB), versionsAt }
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
