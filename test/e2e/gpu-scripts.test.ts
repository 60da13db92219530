import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

const root = join(import.meta.dirname, '..', '..')
const { keepArchitecture } = (await import(join(root, 'scripts/fatbin.mjs'))) as {
  keepArchitecture(library: Buffer, architecture: number): { kept: number; cleared: number }
}

/** A container of device code: entries of `[architecture, payload]`. */
function container(...entries: [number, Buffer][]): Buffer {
  const parts = entries.map(([architecture, payload]) => {
    const header = Buffer.alloc(64)
    header.writeUInt16LE(2, 0)
    header.writeUInt32LE(64, 4)
    header.writeBigUInt64LE(BigInt(payload.length), 8)
    header.writeUInt32LE(architecture, 28)
    return Buffer.concat([header, payload])
  })
  const head = Buffer.alloc(16)
  head.writeUInt32LE(0xba55ed50, 0)
  head.writeUInt16LE(16, 6)
  head.writeBigUInt64LE(BigInt(Buffer.concat(parts).length), 8)
  return Buffer.concat([head, ...parts])
}

/** An ELF file with the section .nv_fatbin, as far as the script reads it. */
function library(code: Buffer): Buffer {
  const names = Buffer.from('\0.nv_fatbin\0.shstrtab\0')
  const start = 64
  const table = start + code.length + names.length
  const section = (name: number, offset: number, size: number): Buffer => {
    const header = Buffer.alloc(64)
    header.writeUInt32LE(name, 0)
    header.writeBigUInt64LE(BigInt(offset), 24)
    header.writeBigUInt64LE(BigInt(size), 32)
    return header
  }
  const head = Buffer.alloc(64)
  head.writeBigUInt64LE(BigInt(table), 40)
  head.writeUInt16LE(64, 58)
  head.writeUInt16LE(2, 60)
  head.writeUInt16LE(1, 62)
  const sections = [section(1, start, code.length), section(12, start + code.length, names.length)]
  return Buffer.concat([head, code, names, ...sections])
}

const payload = (byte: number): Buffer => Buffer.alloc(32, byte)

describe('keepArchitecture', () => {
  it('clears the code of other architectures and leaves every length and the rest as they were', () => {
    const before = library(container([80, payload(1)], [90, payload(2)], [120, payload(3)]))
    const after = Buffer.from(before)
    expect(keepArchitecture(after, 90)).toEqual({ kept: 32, cleared: 64 })
    expect(after.length).toBe(before.length)
    expect(after.includes(payload(2))).toBe(true)
    expect(after.includes(payload(1))).toBe(false)
    expect(after.includes(payload(3))).toBe(false)
    const changed = before.filter((byte, i) => byte !== after[i])
    expect(changed.length).toBe(64)
  })

  it('keeps a container whole that has nothing for the architecture', () => {
    const code = Buffer.concat([container([120, payload(3)]), container([90, payload(2)], [80, payload(1)])])
    const after = library(code)
    expect(keepArchitecture(after, 90)).toEqual({ kept: 64, cleared: 32 })
    expect(after.includes(payload(3))).toBe(true)
  })

  it('refuses code that it cannot read', () => {
    const code = container([90, payload(2)])
    code.writeBigUInt64LE(1000n, 16 + 8)
    expect(() => keepArchitecture(library(code), 90)).toThrow('cannot read')
  })
})

describe.each([
  ['test/gpu/run.mjs', 'ResNet-50'],
  ['bench/gpu/run.mjs', 'TF32'],
])('%s without a GPU', (script, asked) => {
  it('names what it skips, and ends with 0', () => {
    const { stdout, status } = spawnSync(process.execPath, [join(root, script), asked], {
      encoding: 'utf8',
      env: { ...process.env, PATH: '/nowhere', SUBTEN_BENCH_QUICK: '1' },
    })
    expect(status).toBe(0)
    expect(stdout).toMatch(/skipped {2}ResNet-50 .*no NVIDIA GPU/)
  }, 60_000)
})
