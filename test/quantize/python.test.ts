import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { load } from '../../src/load/load.js'
import { quantize } from '../../src/quantize/quantize.js'
import { toolsFolders, toolsPython } from '../../src/quantize/tools-python.js'
import { digitsData, python, repositoryWith, root, temporaryFolder, withTools } from './tools.js'

const folder = temporaryFolder()

/** A Python that says its process id, and then is that of the tools. */
function wrapped(name: string, flags = ''): { executable: string; pid(): number } {
  const executable = join(folder, name)
  writeFileSync(executable, `#!/bin/sh\necho $$ > '${executable}.pid'\nexec '${python?.executable}' ${flags} "$@"\n`)
  chmodSync(executable, 0o755)
  return { executable, pid: () => Number(existsSync(`${executable}.pid`) && readFileSync(`${executable}.pid`, 'utf8')) }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    // A process that nobody has waited for yet is gone all the same.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

describe('without Python', () => {
  const command = (env: Record<string, string>, ...args: string[]) =>
    spawnSync(process.execPath, [join(root, 'dist/cli.js'), 'quantize', ...args], {
      encoding: 'utf8',
      cwd: root,
      env: { ...process.env, ...env },
    })

  it('names the Python that is not there', () => {
    const args = ['models/digits', '--calibration', 'nothing.npz']
    const { status, stderr } = command({ SUBTEN_PYTHON: '/nonexistent/python3' }, ...args)
    expect(status).toBe(1)
    expect(stderr).toMatch(/^ENGINE_NOT_FOUND: there is no Python at \/nonexistent\/python3 \(SUBTEN_PYTHON\)\n/)
    expect(stderr).toContain('npm run tools:install')
  })

  it('takes an interpreter, a command on the PATH, or the folder of a virtual environment', () => {
    const place = join(folder, 'venv/bin')
    mkdirSync(place, { recursive: true })
    writeFileSync(join(place, 'python3'), '')
    const found = (named: string) => toolsPython({ SUBTEN_PYTHON: named, PATH: `/nowhere:${place}` }, root)
    for (const named of [join(place, 'python3'), 'python3', join(folder, 'venv')]) {
      expect(found(named)).toMatchObject({ executable: join(place, 'python3'), ours: false })
    }
    expect(() => found('python9')).toThrow(expect.objectContaining({ code: 'ENGINE_NOT_FOUND' }))
  })

  it('says which command installs it: in a checkout, and for an installed package', () => {
    const place = (name: string): string => {
      const made = join(folder, name)
      mkdirSync(join(made, 'tools'), { recursive: true })
      writeFileSync(join(made, 'tools/quantize.py'), '')
      writeFileSync(join(made, 'package.json'), '{"name":"subten","version":"1.2.3"}')
      return made
    }
    const package_ = place('package')
    const env = { SUBTEN_CACHE_DIR: join(folder, 'cache') }
    const error = { code: 'ENGINE_NOT_FOUND', remedy: `Run once: node ${package_}/scripts/tools-install.mjs` }
    expect(() => toolsPython(env, package_)).toThrow(expect.objectContaining(error))
    expect(toolsFolders(package_, env)).toEqual([join(folder, 'cache/tools-1.2.3')])

    const checkout = place('checkout')
    mkdirSync(join(checkout, 'src'))
    writeFileSync(join(checkout, 'src/index.ts'), '')
    const remedy = 'Run once: npm run tools:install'
    expect(() => toolsPython(env, checkout)).toThrow(expect.objectContaining({ remedy }))
    // An install that was interrupted has no file `installed`.
    mkdirSync(join(checkout, '.cache/tools/bin'), { recursive: true })
    writeFileSync(join(checkout, '.cache/tools/bin/python3'), '')
    expect(() => toolsPython(env, checkout)).toThrow(expect.objectContaining({ remedy }))
  })
})

describe('npm run tools:install', () => {
  const install = (...args: string[]) =>
    spawnSync(process.execPath, [join(root, 'scripts/tools-install.mjs'), ...args], { encoding: 'utf8' })

  it('says which Python is missing and how to get one', () => {
    const { status, stderr } = install('--python', join(folder, 'python3'))
    expect(status).toBe(1)
    expect(stderr).toContain('not found')
    expect(stderr).toMatch(/apt-get install .*python3-venv|package manager/)
    expect(stderr).not.toContain('    at ')
  })

  it('refuses a Python that is too old or lacks venv', () => {
    const old = join(folder, 'old-python')
    writeFileSync(old, `#!/bin/sh\necho '{"executable":"/x","version":[3,8,1],"lacks":[]}'\n`, { mode: 0o755 })
    expect(install('--python', old).stderr).toContain('is Python 3.8.1')
    const bare = join(folder, 'bare-python')
    writeFileSync(bare, `#!/bin/sh\necho '{"executable":"/x","version":[3,12,1],"lacks":["ensurepip"]}'\n`, {
      mode: 0o755,
    })
    expect(install('--python', bare).stderr).toContain('its module ensurepip is missing')
  })

  it('installs where the command line looks', async () => {
    const script = await import(join(root, 'scripts/tools-install.mjs'))
    expect(toolsFolders(root)).toContain(script.toolsFolder())
  })

  it('has an exact version and a hash for everything', () => {
    const lines = readFileSync(join(root, 'tools/requirements.txt'), 'utf8').split('\n')
    const entries = lines.filter((line) => line !== '' && !line.startsWith('#'))
    for (const line of entries) {
      expect(line).toMatch(/^(?:[\w-]+==\d+(?:\.\d+)+ \\| {4}--hash=sha256:[0-9a-f]{64}(?: \\)?)$/)
    }
    expect(entries.some((line) => line.startsWith('onnxruntime=='))).toBe(true)
  })
})

withTools('the process of the quantiser', () => {
  const models = repositoryWith(folder, 'digits')
  const temporary = join(folder, 'tmp')
  let data: string

  beforeAll(async () => {
    mkdirSync(temporary)
    data = await digitsData(folder)
  })

  const started = (executable: string): ChildProcess =>
    spawn(process.execPath, [join(root, 'dist/cli.js'), 'quantize', join(models, 'digits'), '--calibration', data], {
      env: { ...process.env, SUBTEN_PYTHON: executable, TMPDIR: temporary },
      stdio: 'ignore',
    })

  it('has other packages than the pinned ones: says what was found and wanted', async () => {
    const { executable } = wrapped('bare', '-S')
    const args = ['dist/cli.js', 'quantize', join(models, 'digits'), '--calibration', data]
    const stderr = await new Promise<string>((done) => {
      const env = { ...process.env, SUBTEN_PYTHON: executable }
      execFile(process.execPath, args, { cwd: root, env }, (_error, _out, words) => done(words))
    })
    expect(stderr).toMatch(/^ENGINE_VERSION: .* has onnx missing \(wanted 1\.\d+\.\d+\), onnxruntime missing/)
    expect(stderr).toContain('-m pip install -r')
    expect(readdirSync(models)).toEqual(['digits'])
  })

  it('ends when it is aborted, and nothing is left behind', async () => {
    const abort = new AbortController()
    const options = {
      calibration: data,
      precision: 'int8',
      target: 'cpu',
      method: 'minmax',
      percentile: 99.99,
      perChannel: true,
      reduceRange: true,
      exclude: [],
      rows: 360,
      layers: 5,
      layerSeconds: 10,
    } as const
    let began = false
    const running = quantize(join(models, 'digits'), options, {
      load,
      signal: abort.signal,
      onProgress: (phase) => {
        began ||= phase === 'calibrate'
        if (began) abort.abort(new Error('enough'))
      },
    })
    await expect(running).rejects.toThrow('enough')
    expect(began).toBe(true)
    expect(readdirSync(models)).toEqual(['digits'])
  })

  it.each(['SIGINT', 'SIGTERM'] as const)('ends with the command line on %s, which tidies up', async (signal) => {
    const { executable, pid } = wrapped(`interrupted-${signal}`)
    const child = started(executable)
    const ended = new Promise<number | null>((done) => child.on('close', (code) => done(code)))
    await expect.poll(pid, { timeout: 15_000 }).toBeGreaterThan(0)
    child.kill(signal)
    expect(await ended).toBe(1)
    expect(isRunning(pid())).toBe(false)
    expect(readdirSync(models)).toEqual(['digits'])
    expect(readdirSync(temporary).filter((name) => name.startsWith('subten-'))).toEqual([])
  })

  it.skipIf(process.platform !== 'linux')('goes when the command line is killed', async () => {
    const { executable, pid } = wrapped('orphan')
    const child = started(executable)
    await expect.poll(pid, { timeout: 15_000 }).toBeGreaterThan(0)
    child.kill('SIGKILL')
    await expect.poll(() => isRunning(pid()), { timeout: 10_000 }).toBe(false)
  })
})
