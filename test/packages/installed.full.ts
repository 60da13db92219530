// The tarballs that a release publishes, installed without a compiler and without scripts, by npm and by pnpm.
import { spawnSync } from 'node:child_process'
import {
  existsSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { checkPrebuild } from '../../scripts/check-prebuild.mjs'
import { installedGpu } from '../../src/load/gpu-files.js'
import { root } from '../e2e/consumer.js'
import { packages } from '../neighbours/packages.js'
import { barePath, bytesBelow, command, compilers, program, user } from './consumer.js'
import { folder as packed, published, serveRegistry, subten, tarballs } from './registry.js'

const LIMIT_MB = 80
const engine = '@subten/onnxruntime-linux-x64'
const folder = mkdtempSync(join(tmpdir(), 'subten-packages-'))
const bin = barePath(folder)
let registry: Awaited<ReturnType<typeof serveRegistry>>
beforeAll(async () => {
  registry = await serveRegistry()
})
afterAll(() => {
  registry.close()
  rmSync(folder, { recursive: true, force: true })
})

const newUser = () => user(folder, registry.npmrc, { dependencies: { subten: `file:${subten}` } })

async function infers(home: string, ...args: string[]): Promise<void> {
  const printed = JSON.parse(await command(bin, home, 'node', ...(args.length ? args : ['-e', program])))
  expect(printed.all).toEqual(['1.000', '1.000'])
  const addon = expect.stringMatching(/\/prebuilds\/linux-x64\/subten\.glibc\.node$/)
  const library = expect.stringMatching(/onnxruntime-linux-x64\/lib\/libsubten_onnxruntime\.so\.1$/)
  expect(printed.mapped).toEqual(expect.arrayContaining([addon, library]))
  for (const file of printed.mapped) expect(file).toContain(realpathSync(home))
}

it('the machine has no compiler', () => {
  for (const name of compilers) {
    expect(spawnSync('sh', ['-c', `command -v ${name}`], { env: { PATH: bin } }).status, name).not.toBe(0)
  }
})

describe('npm install --ignore-scripts', () => {
  let home: string
  beforeAll(async () => {
    home = newUser()
    await command(bin, home, 'npm', 'install', '--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline')
  })

  it('gives a package that infers by import and by require, with the prebuilt addon', () => infers(home))

  it('takes the libraries of this platform only', () => {
    expect(readdirSync(join(home, 'node_modules/@subten')).sort()).toEqual(['jpeg-linux-x64', 'onnxruntime-linux-x64'])
    expect(registry.asked).not.toContain('elsewhere.tgz')
  })

  it(`is at most ${LIMIT_MB} MB with all its dependencies`, () => {
    const modules = join(home, 'node_modules')
    const mb = (path: string) => bytesBelow(join(modules, path)) / 1e6
    console.log(
      `installed: ${mb('.').toFixed(1)} MB (subten ${mb('subten').toFixed(1)}, ${engine} ${mb(engine).toFixed(1)})`,
    )
    expect(mb('.')).toBeLessThan(LIMIT_MB)
  })

  it.each([
    ['left out of', '--external:subten'],
    ['taken into', '--minify'],
  ])('infers when it is %s a bundle of esbuild', async (_, option) => {
    const source = join(home, 'app.cjs')
    writeFileSync(source, program)
    const options = ['--bundle', '--platform=node', '--external:sharp', option, `--outfile=${join(home, 'out.cjs')}`]
    await command(bin, home, 'node', join(root, 'node_modules/esbuild/bin/esbuild'), source, ...options)
    await infers(home, join(home, 'out.cjs'))
  })

  it('says that sharp is missing to who classifies a picture, and classifies once it is installed', async () => {
    const picture = `
      const { load } = require('subten')
      load(${JSON.stringify(join(root, 'models/digits'))})
        .then((model) => model.classify(require('node:fs').readFileSync(${JSON.stringify(join(root, 'test/data/seven.png'))})))
        .then(({ top: [{ label }] }) => console.log(JSON.stringify(label)), ({ code, remedy }) => console.log(JSON.stringify({ code, remedy })))`
    const classified = async () => JSON.parse(await command(bin, home, 'node', '-e', picture))
    const { code, remedy } = await classified()
    expect(code).toBe('UNSUPPORTED_PLATFORM')
    const [, ...words] = /`(npm install [^`]*)`/.exec(remedy)?.[1]?.split(' ') ?? []
    expect(words).toContain('sharp')
    await command(bin, home, 'npm', ...words, '--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline')
    expect(await classified()).toBe('7')
  })

  it('classifies a plain JPEG without sharp', async () => {
    const bare = newUser()
    await command(bin, bare, 'npm', 'install', '--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline')
    const picture = `
      const { load } = require('subten')
      load(${JSON.stringify(join(root, 'models/vision'))})
        .then((model) => model.classify(require('node:fs').readFileSync(${JSON.stringify(join(root, 'examples/pictures/stop.jpg'))})))
        .then(({ top: [{ label }] }) => console.log(JSON.stringify(label)))`
    expect(JSON.parse(await command(bin, bare, 'node', '-e', picture))).toBe('stop')
    expect(existsSync(join(bare, 'node_modules/sharp'))).toBe(false)
  })

  const rtx = installedGpu('rtx')
  it.skipIf(rtx === undefined)('builds a plan once the package for TensorRT is installed', async () => {
    const program = join(home, 'node_modules/.bin/subten')
    const args = ['build-engine', join(root, 'models/digits'), '--target', 'sm_80', '--out', join(home, 'digits.plan')]
    const build = () => command(bin, home, program, ...args, '--json', '--library', rtx as string)
    await expect(build()).rejects.toThrow(/ENGINE_NOT_FOUND[\s\S]*npm install @subten\/tensorrt-linux-x64/)
    const tarball = tarballs.find((name) => name.startsWith('subten-tensorrt-linux-x64-'))
    await command(
      bin,
      home,
      'npm',
      'install',
      join(packed, tarball as string),
      '--ignore-scripts',
      '--no-audit',
      '--no-fund',
    )
    const report = JSON.parse(await build())
    expect(report).toMatchObject({ inputs: [{ name: 'image' }], version: expect.stringMatching(/^RTX/) })
    expect(existsSync(report.plan)).toBe(true)
    for (const name of readdirSync(join(home, 'node_modules/@subten/tensorrt-linux-x64/lib'))) {
      const image = readFileSync(join(home, 'node_modules/@subten/tensorrt-linux-x64/lib', name))
      expect(checkPrebuild(image, { arch: 'x64', exported: ['subten_tensorrt_plugin'] }), name).toEqual([])
    }
  })

  it('has a command that starts', async () => {
    const doctor = await command(bin, home, join(home, 'node_modules/.bin/subten'), 'doctor', '--json')
    expect(JSON.parse(doctor).addon.path).toMatch(/prebuilds\/linux-x64\/subten\.glibc\.node$/)
  })

  it('refuses with a typed error where no addon is for the platform', async () => {
    // As on Alpine: node-gyp-build takes musl for the libc.
    const refused = `process.env.LIBC = 'musl'; ${program}`
    const printed = JSON.parse(await command(bin, home, 'node', '-e', refused))
    expect(printed).toMatchObject({ code: 'UNSUPPORTED_PLATFORM', message: expect.stringContaining('libc=musl') })
  })
})

it('pnpm install --ignore-scripts gives a package that infers', async () => {
  const home = newUser()
  const pnpm = join(packages(), '@pnpm/exe.linux-x64/pnpm')
  await command(bin, home, pnpm, 'install', '--ignore-scripts', '--store-dir', join(folder, 'store'))
  expect(lstatSync(join(home, 'node_modules/subten')).isSymbolicLink()).toBe(true)
  await infers(home)
})

describe('the tarballs', () => {
  const files = (tarball: string) => spawnSync('tar', ['-tzf', tarball], { encoding: 'utf8' }).stdout.split('\n')

  it('are those of a release, and name the engines of all its platforms with their own version', () => {
    expect(tarballs.length).toBeGreaterThanOrEqual(2)
    expect(published.optionalDependencies).toMatchObject({ [engine]: published.version })
    for (const version of Object.values(published.optionalDependencies ?? {})) expect(version).toBe(published.version)
    expect(published).not.toHaveProperty('scripts')
    expect(published).not.toHaveProperty('devDependencies')
    expect(published).not.toHaveProperty('workspaces')
  })

  it('hold the addons of both processors, notices, and no symbols', () => {
    const names = files(subten)
    for (const name of ['linux-x64/subten.glibc.node', 'linux-arm64/subten.glibc.node']) {
      expect(names).toContain(`package/prebuilds/${name}`)
    }
    expect(names).toContain('package/THIRD_PARTY_NOTICES.md')
    expect(names.filter((name) => name.endsWith('.debug'))).toEqual([])
  })

  it.each(['x64', 'arm64'])('hold a %s addon for glibc 2.28 and Node-API 8, stripped, of no machine', (arch) => {
    const args = ['-xzOf', subten, `package/prebuilds/linux-${arch}/subten.glibc.node`]
    const image = spawnSync('tar', args, { maxBuffer: 1 << 26 }).stdout
    expect(checkPrebuild(image, { arch })).toEqual([])
  })

  it('have an SBOM beside each, which names what is linked into them', () => {
    for (const tarball of tarballs) {
      const sbom = join(subten, '..', tarball.replace(/\.tgz$/, '.cdx.json'))
      expect(existsSync(sbom), sbom).toBe(true)
      expect(JSON.parse(readFileSync(sbom, 'utf8')).components.length).toBeGreaterThan(0)
    }
  })
})
