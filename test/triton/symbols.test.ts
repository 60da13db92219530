import { existsSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { exportsOf, needsOf } from '../../scripts/elf-file.mjs'
import { tritonInstalled } from './server-binary.js'

// Drift of Triton's C API shows here: what we call, against what the installed library exports and against what the
// Python bindings of a later release still import.

const root = resolve(import.meta.dirname, '../..')
const list = `${root}/native/engines/triton/symbols.h`
const library = `${root}/.cache/triton/lib/libtritonserver.so`

/** The minor version of the installed library's C API, see scripts/triton.json. */
const MINOR = 34

const declared = () => {
  const code = readFileSync(list, 'utf8').replace(/\/\/.*$/gm, '')
  const required = [...code.matchAll(/\bX\(([A-Z]\w+)\)/g)].map(([, name]) => `TRITONSERVER_${name}`)
  const optional = [...code.matchAll(/\bXO\(([A-Z]\w+),\s*(\d+)\)/g)].map(([, name, minor]) => ({
    name: `TRITONSERVER_${name}`,
    minor: Number(minor),
  }))
  return { required, optional }
}

const imported = new Set(
  readFileSync(`${import.meta.dirname}/facts/bindings-2.73.0.txt`, 'utf8').match(/^TRITONSERVER_\w+$/gm),
)

describe.skipIf(!existsSync(list))('the functions of Triton that subten calls', () => {
  it('are listed once each, and none is missing from the list by a slip of the parser', () => {
    const { required, optional } = declared()
    const names = [...required, ...optional.map(({ name }) => name)]
    expect(names.length).toBeGreaterThan(40)
    expect(new Set(names).size).toBe(names.length)
  })

  it('are still used by the bindings of tritonserver 2.73.0, except optional ones', () => {
    expect(imported.size).toBe(158)
    expect(declared().required.filter((name) => !imported.has(name))).toEqual([])
  })
})

describe.skipIf(!tritonInstalled)('the installed libtritonserver', () => {
  let exported: Set<string>
  beforeAll(() => {
    exported = new Set(exportsOf(readFileSync(library)).filter((name) => name.startsWith('TRITONSERVER_')))
  })

  it('exports a C API', () => {
    expect(exported.size).toBeGreaterThan(140)
    expect(exported).toContain('TRITONSERVER_ServerInferAsync')
  })

  it.skipIf(!existsSync(list))('exports every function that subten calls at this version', () => {
    const { required, optional } = declared()
    const wanted = [...required, ...optional.filter(({ minor }) => minor <= MINOR).map(({ name }) => name)]
    expect(wanted.filter((name) => !exported.has(name))).toEqual([])
  })

  it('comes with an order in which its libraries load one after the other', () => {
    const folder = `${root}/.cache/triton/lib`
    const lines = readFileSync(`${folder}/load-order`, 'utf8').trim().split('\n')
    const loaded = new Set<string>()
    const all = new Set(lines.map((line) => line.split(' ')[1]))
    for (const line of lines) {
      const [kind, name = ''] = line.split(' ')
      expect(kind).toMatch(/^(deep|plain)$/)
      const { needed } = needsOf(readFileSync(`${folder}/${name}`))
      expect(needed.filter((other) => all.has(other) && !loaded.has(other))).toEqual([])
      loaded.add(name)
    }
    expect(lines.at(-1)).toMatch(/^plain libtritonserver/)
  })
})
