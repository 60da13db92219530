// subten as package managers install it, from the tarballs of `npm pack`: npm without scripts, pnpm, and what goes missing.
import { execFileSync, spawnSync } from 'node:child_process'
import { lstatSync, mkdtempSync, readdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { root, unpackInto } from '../e2e/consumer.js'
import { npm, packages } from './packages.js'

vi.setConfig({ testTimeout: 600_000, hookTimeout: 600_000 })

const engine = `@subten/onnxruntime-${process.platform}-${process.arch}`
const folder = mkdtempSync(join(tmpdir(), 'subten-installed-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** Tarballs: of subten with a prebuilt addon and without, and of its engine package. */
const tarball: Record<'subten' | 'bare' | 'engine', string> = { subten: '', bare: '', engine: '' }
beforeAll(() => {
  const pack = (from: string): string => {
    const to = mkdtempSync(join(folder, 'tarball-'))
    npm(to, 'pack', from, '--ignore-scripts')
    return join(to, readdirSync(to)[0] as string)
  }
  const staged = join(folder, 'staged')
  unpackInto(staged)
  tarball.subten = pack(staged)
  rmSync(join(staged, 'prebuilds'), { recursive: true })
  tarball.bare = pack(staged)
  tarball.engine = pack(join(root, 'npm', engine.replace('@subten/', '')))
})

function user(dependencies: Record<string, string>, more: object = {}): string {
  const home = mkdtempSync(join(folder, 'user-'))
  writeFileSync(join(home, 'package.json'), JSON.stringify({ name: 'user', private: true, dependencies, ...more }))
  return home
}

const program = `
  const answer = async ({ load }) => {
    const model = await load(${JSON.stringify(join(root, 'models/digits'))})
    const { probabilities } = await model.infer({ image: new Float32Array(64) })
    await model.close()
    return probabilities.data.length
  }
  Promise.all([answer(require('subten')), import('subten').then(answer)]).then(
    (all) => console.log(JSON.stringify(all)),
    ({ code, message, remedy }) => console.log(JSON.stringify({ code, message, remedy })),
  )`

function answers(home: string): unknown {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['-e', program], { cwd: home, encoding: 'utf8' })
  expect([status, stderr]).toEqual([0, ''])
  return JSON.parse(stdout)
}

/** As on a build machine: a lockfile, then `npm ci --ignore-scripts`. */
function npmCi(home: string, ...options: string[]): string {
  npm(home, 'install', '--package-lock-only', '--ignore-scripts')
  npm(home, 'ci', '--ignore-scripts', ...options)
  return home
}

describe('npm ci --ignore-scripts', () => {
  it('gives a package that infers, and whose command works', () => {
    const home = npmCi(user({ subten: `file:${tarball.subten}`, [engine]: `file:${tarball.engine}` }))
    expect(answers(home)).toEqual([10, 10])
    const doctor = spawnSync(join(home, 'node_modules/.bin/subten'), ['doctor', '--json'], { encoding: 'utf8' })
    expect(doctor.status).toBe(0)
    expect(JSON.parse(doctor.stdout).addon.path).toContain(realpathSync(home))
  })

  it('without the engine package, the error names the command that installs it', () => {
    const engines = { optionalDependencies: { [engine]: `file:${tarball.engine}` } }
    const home = npmCi(user({ subten: `file:${tarball.subten}` }, engines), '--omit=optional')
    expect(answers(home)).toMatchObject({
      code: 'ENGINE_NOT_FOUND',
      message: expect.stringContaining(`npm install ${engine}`),
    })
  })

  it('without a prebuilt addon, the error names the commands that build it, and they do', () => {
    const home = npmCi(user({ subten: `file:${tarball.bare}`, [engine]: `file:${tarball.engine}` }))
    const error = answers(home) as { code: string; remedy: string }
    expect(error.code).toBe('UNSUPPORTED_PLATFORM')
    const command = /or `(npm i .*build-native\.mjs)`/.exec(error.remedy)?.[1]
    expect(command).toBeDefined()
    execFileSync('sh', ['-c', command as string], { cwd: home, stdio: ['ignore', 'ignore', 'pipe'] })
    expect(answers(home)).toEqual([10, 10])
  })
})

it('the linked node_modules of pnpm give a package that infers', () => {
  const home = user({ subten: `file:${tarball.subten}` })
  writeFileSync(join(home, 'pnpm-workspace.yaml'), `overrides:\n  "${engine}": "file:${tarball.engine}"\n`)
  const pnpm = join(packages(), '@pnpm/exe.linux-x64/pnpm')
  execFileSync(pnpm, ['install', '--ignore-scripts', '--store-dir', join(folder, 'store')], {
    cwd: home,
    stdio: 'pipe',
  })
  expect(lstatSync(join(home, 'node_modules/subten')).isSymbolicLink()).toBe(true)
  expect(readdirSync(join(home, 'node_modules')).filter((name) => !name.startsWith('.'))).toEqual(['subten'])
  expect(answers(home)).toEqual([10, 10])
})

describe('the packed package', () => {
  const tool = (file: string, ...args: string[]) =>
    spawnSync(process.execPath, [join(packages(), file), ...args], { cwd: folder, encoding: 'utf8' })

  it('has no problem that publint knows', () => {
    const { status, stdout } = tool('publint/src/cli.js', tarball.subten, '--strict')
    expect([status, stdout]).toEqual([0, expect.not.stringMatching(/Warnings|Errors/)])
  })

  it('has types that are right for ESM, CommonJS and bundlers (arethetypeswrong)', () => {
    // node16: Node's older way of resolving knows no `exports`, and no Node that runs subten uses it.
    const { status, stdout } = tool('@arethetypeswrong/cli/dist/index.js', tarball.subten, '--profile', 'node16')
    expect([status, stdout]).toEqual([0, expect.stringContaining('subten/testing')])
  })
})
