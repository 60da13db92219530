// What a user gets from npm: the packed files work without any install script, in both module systems, with types.
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makeConsumer, manifest, packed, root } from './consumer.js'

const inUser = (command: string, ...args: string[]) => execFileSync(command, args, { cwd: user, encoding: 'utf8' })

let user: string

beforeAll(() => {
  user = makeConsumer()
})

afterAll(() => rmSync(user, { recursive: true, force: true }))

describe('the packed package', () => {
  it('holds what is needed to run and to build, and nothing of our tests', () => {
    const files = packed()
    for (const file of [
      'dist/index.js',
      'dist/index.cjs',
      'dist/index.d.ts',
      'dist/index.d.cts',
      'dist/cli.js',
      'dist/profile-worker.js',
      'CMakeLists.txt',
      'LICENSE',
      'schemas/sla.schema.json',
      'tools/quantize.py',
      'tools/requirements.txt',
      'scripts/tools-install.mjs',
      'scripts/tools.mjs',
    ]) {
      expect(files).toContain(file)
    }
    expect(files.filter((file) => /(^|\/)test\/|\.test\.|^src\/|^models\/|\.onnx$|__pycache__/.test(file))).toEqual([])
  })

  it('works through require', () => {
    expect(
      inUser('node', '-p', "typeof require('subten').load + ' ' + typeof require('subten/testing').fakeModel"),
    ).toBe('function function\n')
  })

  it('works through import', () => {
    const script =
      "import { load } from 'subten'; import { fakeModel } from 'subten/testing'; console.log(typeof load, typeof fakeModel)"
    expect(inUser('node', '--input-type=module', '-e', script)).toBe('function function\n')
  })

  it('has a command line', () => {
    expect(inUser('node', 'node_modules/subten/dist/cli.js', 'explain', 'QUEUE_FULL')).toContain('QUEUE_FULL')
  })

  it.each(['mts', 'cts'])('has types for a .%s file', (ending) => {
    writeFileSync(
      join(user, `use.${ending}`),
      "import { load, SubtenError } from 'subten'\nimport { fakeModel } from 'subten/testing'\n" +
        'export const names: Promise<string> = load("m").then((model) => model.name)\nexport const all = [SubtenError, fakeModel]\n',
    )
    const options = [
      '--noEmit',
      '--strict',
      '--target',
      'es2022',
      '--lib',
      'es2023,esnext.disposable',
      '--types',
      'node',
    ]
    const tsc = join(root, 'node_modules/typescript/bin/tsc')
    expect(inUser('node', tsc, ...options, '--module', 'nodenext', `use.${ending}`)).toBe('')
  })
})

describe('package.json', () => {
  it('runs nothing at install', () => {
    expect(Object.keys(manifest.scripts)).not.toEqual(
      expect.arrayContaining([expect.stringMatching(/^((pre|post)?install|prepare)$/)]),
    )
    expect(manifest.gypfile).toBe(false) // without it npm answers binding.gyp with an install script of its own
  })

  it('pins every dependency exactly', () => {
    const { dependencies, devDependencies, optionalDependencies } = manifest
    for (const [name, version] of Object.entries({ ...dependencies, ...devDependencies, ...optionalDependencies })) {
      expect(version, name).toMatch(/^\d+\.\d+\.\d+$/)
    }
  })

  it('has a lockfile that names no registry', () => {
    const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'))
    const resolved = Object.values<{ resolved?: string }>(packages).map((entry) => entry.resolved)
    expect(resolved.filter((address) => address?.includes('://'))).toEqual([])
  })

  it('has the version of its engine package', () => {
    const engine = JSON.parse(readFileSync(join(root, 'npm/onnxruntime-linux-x64/package.json'), 'utf8'))
    expect(manifest.optionalDependencies[engine.name]).toBe(engine.version)
    expect(existsSync(join(root, 'npm/onnxruntime-linux-x64/LICENSE'))).toBe(true)
  })
})
