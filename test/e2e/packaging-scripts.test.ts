// The scripts behind `npm start`, `npm test` and the engine package.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'

const root = resolve(import.meta.dirname, '../..')
const script = (name: string) => import(pathToFileURL(join(root, 'scripts', name)).href)
const pin = JSON.parse(readFileSync(join(root, 'scripts/onnxruntime.json'), 'utf8'))

describe('on a system without a compiler', () => {
  const bare = mkdtempSync(join(tmpdir(), 'subten-bare-'))
  symlinkSync(process.execPath, join(bare, 'node'))
  writeFileSync(join(bare, 'apt-get'), '#!/bin/sh\nexit 1\n', { mode: 0o755 })
  afterAll(() => rmSync(bare, { recursive: true, force: true }))

  it.each(['start.mjs', 'test.mjs'])('%s names the one command that installs what is missing', (name) => {
    const { status, stdout, stderr } = spawnSync('node', [join(root, 'scripts', name)], {
      env: { PATH: bare },
      encoding: 'utf8',
    })
    expect(status).toBe(1)
    expect(stderr).toMatch(/apt-get install -y .*g\+\+ cmake ninja-build/)
    if (name === 'test.mjs') expect(stdout.trimEnd().split('\n').at(-1)).toBe('0 passed, 1 failed')
  })
})

describe('the include check', () => {
  const problems = async (path: string, text: string): Promise<string[]> =>
    (await script('check-includes.mjs')).checkFile(path, text)

  it('lets dependencies point down', async () => {
    expect(await problems('native/executor/a.cc', '#include "queue/inbox.h"\n#include "engines/engine.h"\n')).toEqual(
      [],
    )
    expect(await problems('native/engines/null/a.cc', '#include "engines/engine.h"\n#include <atomic>\n')).toEqual([])
    expect(await problems('native/node/a.cc', '#include <napi.h>\n#include "executor/instance.h"\n')).toEqual([])
  })

  it('names file and line of one that points up, sideways or to N-API', async () => {
    expect(await problems('native/memory/a.h', '\n#include "queue/inbox.h"\n')).toEqual([
      expect.stringContaining('native/memory/a.h:2:'),
    ])
    expect(await problems('native/engines/null/a.cc', '#include "engines/onnxruntime/session.h"\n')).toHaveLength(1)
    expect(await problems('native/executor/a.cc', '#include "engines/null/null_engine.h"\n')).toHaveLength(1)
    expect(await problems('native/queue/a.cc', '#include <node_api.h>\n')).toHaveLength(1)
    expect(await problems('native/test/a.cc', '#include <napi.h>\n')).toHaveLength(1)
  })
})

describe('the engine package', () => {
  const file = pin.platforms[`${process.platform}-${process.arch}`]
  const library = join(root, 'npm', `onnxruntime-${process.platform}-${process.arch}`, 'lib', file?.output ?? '')

  it.skipIf(!file?.soname)('holds the pinned library under a SONAME of our own', async () => {
    expect(existsSync(library)).toBe(true)
    const image = readFileSync(library)
    expect(createHash('sha256').update(image).digest('hex')).toBe(file.result)
    expect((await script('elf-soname.mjs')).findSoname(image).soname).toBe(file.soname)
  })

  it('comes from the tarball that package-lock.json pins', () => {
    const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'))
    expect(packages[`node_modules/${pin.package}`]).toMatchObject({ version: pin.version, integrity: pin.integrity })
  })

  it('refuses a SONAME that does not fit', async () => {
    const { setSoname } = await script('elf-soname.mjs')
    const image = file?.soname ? readFileSync(library) : Buffer.alloc(64)
    expect(() => setSoname(image, 'a-name-that-is-longer-than-the-old.so.1')).toThrow()
  })
})
