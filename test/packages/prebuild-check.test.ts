// What the check of prebuilt addons finds, on the addon of this checkout and on copies with one thing wrong.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { BASELINE, checkPrebuild, isNewer } from '../../scripts/check-prebuild.mjs'
import { exportsOf, importsOf, machineOf, neededVersionsOf, sectionNamesOf } from '../../scripts/elf-file.mjs'
import { GLIBC_BASELINE } from '../../src/runtime/no-addon.js'
import { root } from '../e2e/consumer.js'

const built = readFileSync(join(root, 'build/Release/subten.node'))
const arch = process.arch

/** A copy in which the first occurrence of a text is another one of the same length. */
function changed(from: string, to: string): Buffer {
  const image = Buffer.from(built)
  const at = image.indexOf(`\0${from}\0`)
  expect(at).toBeGreaterThan(0)
  image.write(to, at + 1, 'latin1')
  return image
}

describe.skipIf(process.platform !== 'linux')('the check of prebuilt addons', () => {
  // The compiler at hand links with its own glibc, and keeps the symbol table.
  const known = /GLIBC_|is not stripped|machine that built it/
  const problems = (image: Buffer, options = {}) => checkPrebuild(image, { arch, ...options })

  it('reads the file: processor, sections, what it needs and gives', () => {
    expect(machineOf(built)).toBe(arch)
    expect(sectionNamesOf(built)).toEqual(expect.arrayContaining(['.text', '.dynsym', '.symtab']))
    expect(exportsOf(built).sort()).toEqual(['napi_register_module_v1', 'node_api_module_get_api_version_v1'])
    expect(neededVersionsOf(built).map(({ library }) => library)).toContain('libc.so.6')
    const imports = importsOf(built)
    expect(imports).toContainEqual({ name: 'napi_create_object', weak: false, version: undefined, library: undefined })
    expect(imports.find(({ name }) => name === 'memcpy')).toMatchObject({ library: 'libc.so.6' })
  })

  it('finds nothing wrong with the addon of this checkout but what a release build does otherwise', () => {
    expect(problems(built).filter((line) => !known.test(line))).toEqual([])
    expect(problems(built).filter((line) => /is not stripped/.test(line))).toHaveLength(1)
  })

  it('names each glibc symbol version above the baseline', () => {
    const above = problems(built, { baseline: '2.4' }).filter((line) => line.endsWith('the baseline is 2.4'))
    const wanted = neededVersionsOf(built).filter(({ version }) => isNewer(version.replace('GLIBC_', ''), '2.4'))
    expect(above).toHaveLength(wanted.length)
    expect(above.length).toBeGreaterThan(0)
    expect(problems(built, { baseline: '9.0' }).filter((line) => /GLIBC_/.test(line))).toEqual([])
  })

  it('sees another processor, a symbol that Node-API 8 has not, another library, another export', () => {
    expect(checkPrebuild(built, { arch: 'riscv64' })).toContain(`it is for ${arch}, not for riscv64`)
    expect(problems(changed('napi_create_object', 'napi_create_0bject'))).toContain(
      'needs napi_create_0bject, which is not in Node-API 8',
    )
    expect(problems(changed('libc.so.6', 'libz.so.6')).join()).toContain('needs the library libz.so.6')
    const names = problems(changed('napi_register_module_v1', 'napi_register_module_v2'))
    expect(names).toContain('exports napi_register_module_v2')
    expect(names).toContain('does not export napi_register_module_v1')
  })

  it('sees a search path and a path of the machine', () => {
    const image = Buffer.from(built)
    const [from, to] = [Buffer.alloc(8), Buffer.alloc(8)]
    from.writeBigInt64LE(0x6ffffffbn) // DT_FLAGS_1
    to.writeBigInt64LE(29n) // DT_RUNPATH
    to.copy(image, image.lastIndexOf(from))
    expect(problems(image).join()).toContain('tells the loader to search')
    expect(problems(Buffer.concat([built, Buffer.from('/home/somebody/subten/x.cc')])).join()).toContain(
      '/home/somebody/subten/x.cc',
    )
  })

  it('is an error for what is no ELF file', () => {
    expect(() => problems(Buffer.from('MZ'))).toThrow('not a 64-bit ELF file')
  })
})

it('versions are compared number by number', () => {
  expect(isNewer('2.3', '2.28')).toBe(false)
  expect(isNewer('2.28', '2.28')).toBe(false)
  expect(isNewer('2.28.1', '2.28')).toBe(true)
  expect(isNewer('3', '2.99')).toBe(true)
})

it('the error on an old glibc names the baseline that addons are built for', () => {
  expect(GLIBC_BASELINE).toBe(BASELINE)
})
