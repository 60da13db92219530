// The installer against a Python of ours: a shell script that stands for pip and zipfile.
import { createHash } from 'node:crypto'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { devicePlan } from '../../../src/load/execution-providers.js'
import { GPU_ENGINES, type GpuRelease, gpuFolders, gpuReleases, installedGpu } from '../../../src/load/gpu-files.js'
import { installGpu } from '../../../src/load/gpu-install.js'
import { INSTALLED_NOTE } from '../../../src/load/install-folders.js'
import type { ModelConfig } from '../../../src/repository/config-types.js'
import { subten } from '../cli/running-cli.js'

const glibc = (process.report.getReport() as { header: { glibcVersionRuntime?: string } }).header.glibcVersionRuntime
const runsHere = process.platform === 'linux' && process.arch === 'x64' && glibc !== undefined
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')

let place: string
const folder = (): string => join(place, 'gpu', 'cuda-1.31.1')

/** Two wheels: one with ONNX Runtime, one of NVIDIA's. */
const release: GpuRelease = {
  ...gpuReleases.cuda,
  wheels: (gpuReleases.cuda.wheels.slice(0, 2) as GpuRelease['wheels']).map((wheel) => ({
    ...wheel,
    sha256: sha256(wheel.package),
    bytes: 1000,
  })),
}

beforeEach(() => {
  place = mkdtempSync(join(tmpdir(), 'subten-gpu-'))
})
afterEach(() => {
  vi.unstubAllEnvs()
  rmSync(place, { recursive: true, force: true })
})

/** `pip download` writes the name of the package as the wheel, unless it is `broken`. */
function python(broken = ''): string {
  const path = join(place, 'python')
  const files = release.wheels.map((wheel) => `${wheel.package}==*) file=${wheel.file}; name=${wheel.package} ;;`)
  const script = `#!/bin/sh
echo "$@" >> ${place}/calls
case "$1 $2 $3" in
  "-m pip --version") exit 0 ;;
  "-m pip download")
    for last; do :; done
    while [ "$1" != --dest ]; do shift; done
    case "$last" in ${files.join(' ')} esac
    if [ "$name" = "${broken}" ]; then echo "the connection was reset"; exit 1; fi
    printf '%s' "$name" > "$2/$file" ;;
  "-c "*) out=$4; mkdir -p "$out/nvidia/lib"; : > "$out/nvidia/lib/libcublas.so.13"
    printf '\\0${release.soname?.from}\\0' > "$out/${release.library}" ;;
esac
`
  writeFileSync(path, script)
  chmodSync(path, 0o755)
  return path
}

describe('subten gpu install', () => {
  it('names a file, a hash and a size for each thing that it fetches', () => {
    for (const engine of GPU_ENGINES) {
      const { wheels, version } = gpuReleases[engine]
      expect(wheels.length).toBeGreaterThan(0)
      expect(wheels[0]?.version).toBe(version)
      for (const { file, sha256: hash, bytes, version: each, keep } of wheels) {
        expect(file).toContain(each)
        expect(hash).toMatch(/^[0-9a-f]{64}$/)
        expect(bytes).toBeGreaterThan(1e6)
        expect(keep.length).toBeGreaterThan(0)
      }
    }
  })

  it('lies in a folder of the cache that names engine and version', () => {
    expect(gpuFolders('rtx', { SUBTEN_CACHE_DIR: place }).at(-1)).toBe(
      join(place, 'gpu', `rtx-${gpuReleases.rtx.version}`),
    )
  })

  it('refuses an engine that there is none of', async () => {
    expect(await subten(['gpu', 'install', '--engine', 'rocm'])).toMatchObject({
      code: 2,
      err: expect.stringContaining('cuda, tensorrt, rtx'),
    })
    const { out } = await subten(['gpu', 'list', '--json'])
    expect(JSON.parse(out)).toMatchObject({ cuda: { version: gpuReleases.cuda.version } })
  })

  describe.skipIf(!runsHere)('on this platform', () => {
    it('unpacks all wheels, is found by the models that compute on CUDA, and does nothing the second time', async () => {
      vi.stubEnv('SUBTEN_CACHE_DIR', place)
      vi.stubEnv('SUBTEN_ONNXRUNTIME_LIB', '')
      const target = gpuFolders('cuda').at(-1) as string
      expect(await installGpu('cuda', { folder: target, release, python: python() })).toEqual({
        folder: target,
        fresh: true,
      })
      expect(readdirSync(target).sort()).toEqual([INSTALLED_NOTE, release.library, 'nvidia'].sort())
      expect(readFileSync(join(target, release.library as string), 'latin1')).toContain(release.soname?.to)
      expect(installedGpu('cuda', [target])).toBe(target)
      expect(readdirSync(join(place, 'gpu'))).toEqual([`cuda-${release.version}`])
      expect(await installGpu('cuda', { folder: target, release, python: '/nowhere' })).toMatchObject({ fresh: false })
    })

    it('goes on where it was cut off, and leaves nothing half done in its place', async () => {
      const options = { folder: folder(), release }
      const [first, second] = release.wheels as [GpuRelease['wheels'][0], GpuRelease['wheels'][0]]
      await expect(installGpu('cuda', { ...options, python: python(second.package) })).rejects.toMatchObject({
        code: 'ENGINE_NOT_FOUND',
        message: expect.stringContaining('the connection was reset'),
        remedy: expect.stringContaining('PIP_INDEX_URL'),
      })
      expect(existsSync(folder())).toBe(false)
      writeFileSync(join(place, 'calls'), '')
      const said: string[] = []
      await installGpu('cuda', { ...options, python: python(), say: (line) => said.push(line) })
      expect(said[0]).toBe(`${first.file} was fetched before`)
      expect(readFileSync(join(place, 'calls'), 'utf8')).not.toContain(`${first.package}==`)
      expect(existsSync(folder())).toBe(true)
    })

    it('fetches again what is there with another hash', async () => {
      mkdirSync(`${folder()}.download`, { recursive: true })
      writeFileSync(join(`${folder()}.download`, release.wheels[0]?.file as string), 'half of it')
      await installGpu('cuda', { folder: folder(), release, python: python() })
      expect(readFileSync(join(place, 'calls'), 'utf8')).toContain(`${release.wheels[0]?.package}==`)
    })

    it('removes what an installer left that was killed, and nothing of one that may run', async () => {
      const [abandoned, running] = [`${folder()}.123`, `${folder()}.456`]
      for (const each of [abandoned, running]) mkdirSync(each, { recursive: true })
      utimesSync(abandoned, 1, 1)
      await installGpu('cuda', { folder: folder(), release, python: python() })
      expect([existsSync(abandoned), existsSync(running)]).toEqual([false, true])
    })

    it('says how much room is missing', async () => {
      const wheels = release.wheels.map((wheel) => ({ ...wheel, bytes: 1e15 }))
      await expect(
        installGpu('cuda', { folder: folder(), release: { ...release, wheels }, python: python() }),
      ).rejects.toMatchObject({
        code: 'ENGINE_NOT_FOUND',
        message: expect.stringContaining('MB are free where'),
        remedy: expect.stringContaining('SUBTEN_CACHE_DIR'),
      })
      expect(existsSync(`${folder()}.download`)).toBe(false)
    })
  })
})

describe('what was installed', () => {
  const config = { name: 'm', instance_group: [] } as unknown as ModelConfig
  const cuda = { executionProviders: ['cuda'] } as const

  function installed(): string {
    vi.stubEnv('SUBTEN_CACHE_DIR', place)
    vi.stubEnv('SUBTEN_ONNXRUNTIME_LIB', '')
    vi.stubEnv('SUBTEN_CUDA_LIBRARY_PATH', '')
    const target = gpuFolders('cuda').at(-1) as string
    mkdirSync(target, { recursive: true })
    for (const file of [INSTALLED_NOTE, gpuReleases.cuda.library as string]) writeFileSync(join(target, file), '')
    return installedGpu('cuda') as string
  }

  it('is used where nobody names a library', () => {
    const target = installed()
    const plan = devicePlan(cuda, config, 'onnxruntime')
    expect(plan?.settings).toContainEqual(['cuda_library', join(target, gpuReleases.cuda.library as string)])
    expect(plan?.settings).toContainEqual(['cuda_library_path', join(target, 'nvidia')])
  })

  it('is not where somebody does', () => {
    installed()
    const keys = (options: Parameters<typeof devicePlan>[0]) =>
      devicePlan(options, config, 'onnxruntime')?.settings.map(([key]) => key)
    expect(keys({ ...cuda, engineLibrary: '/mine.so' })).not.toContain('cuda_library')
    const named = devicePlan(
      { executionProviders: [{ name: 'cuda', libraryPath: '/usr/local/cuda' }] },
      config,
      'onnxruntime',
    )
    expect(named?.settings.filter(([key]) => key === 'cuda_library_path')).toEqual([
      ['cuda_library_path', '/usr/local/cuda'],
    ])
    vi.stubEnv('SUBTEN_ONNXRUNTIME_LIB', '/mine.so')
    expect(keys(cuda)).not.toContain('cuda_library')
  })
})
