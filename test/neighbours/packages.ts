// The packages of test/neighbours/packages, installed once into .cache/neighbours by `npm ci` without install scripts.
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../e2e/consumer.js'

const pinned = join(root, 'test/neighbours/packages')

/** npm in a folder, as a user runs it. */
export function npm(folder: string, ...args: string[]): string {
  return execFileSync('npm', [...args, '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: folder,
    encoding: 'utf8',
    env: { ...process.env, ONNXRUNTIME_NODE_INSTALL: 'skip' },
  })
}

/** The node_modules with what package-lock.json there pins. */
export function packages(): string {
  const lock = readFileSync(join(pinned, 'package-lock.json'))
  const name = createHash('sha256').update(lock).digest('hex').slice(0, 16)
  const folder = join(root, '.cache/neighbours', name)
  if (existsSync(folder)) return join(folder, 'node_modules')
  const fresh = `${folder}.${process.pid}`
  mkdirSync(fresh, { recursive: true })
  for (const file of ['package.json', 'package-lock.json']) cpSync(join(pinned, file), join(fresh, file))
  npm(fresh, 'ci', '--ignore-scripts')
  try {
    renameSync(fresh, folder)
  } catch (error) {
    rmSync(fresh, { recursive: true })
    if (!existsSync(folder)) throw error // else another test file was faster
  }
  return join(folder, 'node_modules')
}

/**
 * A copy of an onnxruntime-node that can share a process with another version of it. Two as they are published cannot:
 * the loader takes the second library for the first, by its SONAME; and their bindings share `Ort::Global<void>::api_`,
 * a symbol that is unique in a process (STB_GNU_UNIQUE), so that one releases with the functions of the other.
 */
export function renamed(original: string, folder: string): string {
  const binaries = join('bin/napi-v6', process.platform, process.arch)
  for (const part of ['package.json', 'dist', binaries])
    cpSync(join(original, part), join(folder, part), { recursive: true })
  const [before, after] = ['libonnxruntime.so.1\0', 'libonnxruntime.so.x\0']
  for (const file of ['libonnxruntime.so.1', 'onnxruntime_binding.node']) {
    const image = readFileSync(join(folder, binaries, file))
    for (let at = image.indexOf(before); at >= 0; at = image.indexOf(before, at)) image.write(after, at, 'latin1')
    makeUniqueGlobal(image)
    writeFileSync(join(folder, binaries, file), image)
  }
  renameSync(join(folder, binaries, 'libonnxruntime.so.1'), join(folder, binaries, 'libonnxruntime.so.x'))
  return folder
}

/** Turns symbols that are unique in a process into global ones of a 64-bit ELF file: each library then uses its own. */
function makeUniqueGlobal(image: Buffer): void {
  const [DYNSYM, GNU_UNIQUE, GLOBAL, SYMBOL_BYTES] = [11, 10, 1, 24]
  const number = (at: number): number => Number(image.readBigUInt64LE(at))
  const sections = number(0x28)
  for (let i = 0; i < image.readUInt16LE(0x3c); i++) {
    const section = sections + i * image.readUInt16LE(0x3a)
    if (image.readUInt32LE(section + 4) !== DYNSYM) continue
    const [start, bytes] = [number(section + 0x18), number(section + 0x20)]
    for (let symbol = start; symbol < start + bytes; symbol += SYMBOL_BYTES) {
      const info = image[symbol + 4] as number
      if (info >> 4 === GNU_UNIQUE) image[symbol + 4] = (GLOBAL << 4) | (info & 15)
    }
  }
}
