import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, realpathSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { files } from './triton.js'

const root = resolve(import.meta.dirname, '../..')

const install = (args: string[], env: Record<string, string> = {}) =>
  spawnSync(process.execPath, [join(root, 'scripts/triton-install.mjs'), ...args], {
    encoding: 'utf8',
    env: { ...process.env, ...env },
  })

describe.skipIf(process.platform !== 'linux' || process.arch !== 'x64')('npm run triton:install', () => {
  it('says which Python is missing and how to get one', () => {
    const empty = mkdtempSync(join(tmpdir(), 'subten-no-python-'))
    const { status, stderr } = install(['--python', join(empty, 'python3')])
    expect(status).toBe(1)
    expect(stderr).toContain('not found')
    expect(stderr).toContain('apt-get install python3')
    expect(stderr).not.toContain('    at ')
  })

  it('has a hash for each thing that it downloads', () => {
    const pins = JSON.parse(readFileSync(join(root, 'scripts/triton.json'), 'utf8'))
    expect(Object.keys(pins.numpy)).toEqual(pins.python)
    for (const { version, sha256 } of [pins.wheel, ...Object.values<{ version: string; sha256: string }>(pins.numpy)]) {
      expect(version).toMatch(/^\d+\.\d+\.\d+$/)
      expect(sha256).toMatch(/^[0-9a-f]{64}$/)
    }
  })
})

describe.skipIf(files === undefined)('subten doctor', () => {
  it('shows the version and the library of the Triton that loads would take', () => {
    const { status, stdout } = spawnSync(process.execPath, [join(root, 'dist/cli.js'), 'doctor', '--json'], {
      encoding: 'utf8',
    })
    expect(status).toBe(0)
    const { engines, triton } = JSON.parse(stdout)
    const engine = engines.find(({ name }: { name: string }) => name === 'triton')
    expect(engine).toMatchObject({ available: true, library: realpathSync(triton.library) })
    expect(engine.version).toMatch(/^\d+\.\d+/)
  })
})
