// subten in a program that esbuild bundled: external and not, ESM and CommonJS, in its place and carried away.
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { makeConsumer, root } from '../e2e/consumer.js'

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 })

const program = `
  import { load, SubtenError } from 'subten'
  async function main() {
    const model = await load(process.argv[2]!)
    const { probabilities } = await model.infer({ image: new Float32Array(64).fill(0.5) })
    await model.close()
    console.log(probabilities!.data.length)
  }
  main().catch((error) => {
    console.log(JSON.stringify([error instanceof SubtenError, error.constructor.name, error.code, error.remedy]))
    process.exitCode = 3
  })
`

let user: string
let away: string
beforeAll(() => {
  user = makeConsumer()
  away = mkdtempSync(join(tmpdir(), 'subten-away-'))
  writeFileSync(join(user, 'app.ts'), program)
})
afterAll(() => {
  for (const folder of [user, away]) rmSync(folder, { recursive: true, force: true })
})

function bundle(name: string, format: string, ...options: string[]): string {
  const file = join(user, name)
  const args = ['--bundle', '--platform=node', `--format=${format}`, `--outfile=${file}`, '--log-level=warning']
  const tool = join(root, 'node_modules/esbuild/bin/esbuild')
  const { status, stderr } = spawnSync(tool, ['app.ts', ...args, ...options], { cwd: user, encoding: 'utf8' })
  expect([status, stderr]).toEqual([0, ''])
  return file
}

function run(file: string, args: string[] = []): { status: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [...args, file, join(root, 'models/digits')], {
    encoding: 'utf8',
  })
  return { status, stdout, stderr }
}

const works = { status: 0, stdout: '10\n', stderr: '' }

describe.each([
  ['esm', 'mjs'],
  ['cjs', 'cjs'],
])('an esbuild bundle (%s)', (format, ending) => {
  it('works with subten as an external package', () => {
    expect(run(bundle(`external.${ending}`, format, '--external:subten'))).toEqual(works)
  })

  it('works with subten bundled into it, where subten is installed', () => {
    expect(run(bundle(`whole.${ending}`, format))).toEqual(works)
    expect(run(bundle(`small.${ending}`, format, '--minify'))).toEqual(works)
  })

  it('says what is missing where it was carried away alone, and works with the two files beside it', () => {
    const file = join(away, `app.${ending}`)
    copyFileSync(bundle(`carried.${ending}`, format), file)
    const alone = run(file)
    expect(alone).toMatchObject({ status: 3, stderr: '' })
    expect(JSON.parse(alone.stdout)).toEqual([
      true,
      'SubtenError',
      'UNSUPPORTED_PLATFORM',
      expect.stringMatching(/external.*or copy subten\.node and libsubten_onnxruntime\.so\.1 beside the bundle/),
    ])
    const addon = join(away, 'subten.node')
    const library = join(away, 'libsubten_onnxruntime.so.1')
    symlinkSync(join(root, 'build/Release/subten.node'), addon)
    symlinkSync(join(root, 'npm/onnxruntime-linux-x64/lib/libsubten_onnxruntime.so.1'), library)
    expect(run(file)).toEqual(works)
    for (const each of [addon, library]) rmSync(each)
  })
})

it('a package of another name around the bundle is not taken for subten', () => {
  // Its own prebuilds folder would be searched otherwise.
  const file = join(away, 'index.cjs')
  copyFileSync(bundle('inner.cjs', 'cjs'), file)
  writeFileSync(join(away, 'package.json'), '{ "name": "their-app" }')
  expect(JSON.parse(run(file).stdout)[2]).toBe('UNSUPPORTED_PLATFORM')
  writeFileSync(join(away, 'package.json'), '{ not JSON')
  expect(run(file).status).not.toBe(0)
})
