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
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { INSTALLED_NOTE, libraryAt, openvinoFolders, release } from '../../src/load/openvino-files.js'
import { installOpenvino } from '../../src/load/openvino-install.js'
import { subten } from '../unit/cli/running-cli.js'

const WHEEL = 'the bytes of a wheel'
const glibc = (process.report.getReport() as { header: { glibcVersionRuntime?: string } }).header.glibcVersionRuntime
const runsHere = process.platform === 'linux' && process.arch === 'x64' && glibc !== undefined

let place: string
const folder = (): string => join(place, 'cache', 'openvino', release.version)
const pins = { ...release, sha256: createHash('sha256').update(WHEEL).digest('hex') }

beforeEach(() => {
  place = mkdtempSync(join(tmpdir(), 'subten-install-'))
})
afterEach(() => rmSync(place, { recursive: true, force: true }))

/** `download`: what the script does in place of `pip download`, with the folder in $dest. */
function python(download = `printf '%s' '${WHEEL}' > "$dest/${release.file}"`): string {
  const path = join(place, 'python')
  const script = `#!/bin/sh
echo "$@" >> ${place}/calls
case "$1 $2 $3" in
  "-m pip --version") exit 0 ;;
  "-m pip download") while [ "$1" != --dest ]; do shift; done; dest=$2; ${download} ;;
  "-c "*) wheel=$3; out=$4; shift 5; for name; do printf '\\0${release.soname.from}\\0' > "$out/$(basename "$name")"; done ;;
esac
`
  writeFileSync(path, script)
  chmodSync(path, 0o755)
  return path
}

const failure = async (
  options: Parameters<typeof installOpenvino>[0],
): Promise<{ code?: string; message?: string; remedy?: string }> =>
  installOpenvino({ folder: folder(), release: pins, ...options }).then(
    () => ({}),
    (error) => error,
  )
const left = (): string[] => (existsSync(join(place, 'cache')) ? readdirSync(join(place, 'cache', 'openvino')) : [])

describe.skipIf(!runsHere)('subten providers install openvino', () => {
  it('unpacks what is needed, under a SONAME of its own, and does nothing the second time', async () => {
    const first = await installOpenvino({ folder: folder(), release: pins, python: python() })
    expect(first).toEqual({ library: join(folder(), release.library), fresh: true })
    expect(readdirSync(folder()).sort()).toEqual(
      [INSTALLED_NOTE, ...release.files.map((f) => f.split('/').at(-1) as string)].sort(),
    )
    const image = readFileSync(first.library, 'latin1')
    expect(image).toContain(release.soname.to)
    expect(image).not.toContain(release.soname.from)
    expect(libraryAt(folder())).toBe(first.library)
    expect(await installOpenvino({ folder: folder(), release: pins, python: '/nowhere' })).toMatchObject({
      fresh: false,
    })
    expect(await installOpenvino({ folder: folder(), release: pins, python: python(), force: true })).toMatchObject({
      fresh: true,
    })
    expect(left()).toEqual([release.version])
  })

  it('says that Python or its pip is missing, and how to have them', async () => {
    expect(await failure({ python: join(place, 'none') })).toMatchObject({
      code: 'ENGINE_NOT_FOUND',
      message: expect.stringContaining('there is no Python'),
      remedy: expect.stringContaining('python3-pip'),
    })
    const path = join(place, 'bare')
    writeFileSync(path, '#!/bin/sh\necho "No module named pip"; exit 1\n')
    chmodSync(path, 0o755)
    expect(await failure({ python: path })).toMatchObject({ message: expect.stringContaining('No module named pip') })
  })

  it('keeps nothing of a file with another hash', async () => {
    const wrong = python(`printf 'something else' > "$dest/${release.file}"`)
    expect(await failure({ python: wrong })).toMatchObject({
      code: 'ENGINE_NOT_FOUND',
      message: expect.stringMatching(/SHA-256 is [0-9a-f]{64}, not /),
      remedy: expect.stringContaining('Do not use it'),
    })
    expect(left()).toEqual([])
  })

  it('leaves what is installed where installing again fails', async () => {
    await installOpenvino({ folder: folder(), release: pins, python: python() })
    const offline = python('echo "no connection"; exit 1')
    expect(await failure({ python: offline, force: true })).toMatchObject({
      message: expect.stringContaining('no connection'),
    })
    expect(existsSync(join(folder(), release.library))).toBe(true)
    expect(left()).toEqual([release.version])
  })

  it('asks pip for the pinned version alone, without its dependencies', async () => {
    await installOpenvino({ folder: folder(), release: pins, python: python() })
    const calls = readFileSync(join(place, 'calls'), 'utf8')
    expect(calls).toContain('--no-deps')
    expect(calls).toContain(`${release.package}==${release.version}`)
  })

  it('is in a folder of the cache that names the version', () => {
    mkdirSync(join(place, 'x'))
    expect(openvinoFolders({ SUBTEN_CACHE_DIR: join(place, 'x') }).at(-1)).toBe(
      join(place, 'x', 'openvino', release.version),
    )
  })
})

describe('the commands', () => {
  it('refuse a provider that cannot be installed', async () => {
    expect(await subten(['providers', 'install', 'tpu'])).toMatchObject({
      code: 1,
      err: expect.stringContaining('openvino'),
    })
  })

  it('list what is installed', async () => {
    expect(JSON.parse((await subten(['providers', 'list', '--json'])).out)).toMatchObject({
      openvino: { version: release.version },
    })
  })
})
