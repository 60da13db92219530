import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import * as fs from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { SubtenError } from '../runtime/errors.js'
import { INSTALLED_NOTE } from './install-folders.js'

/** One file of a Python package index, pinned. */
export interface Wheel {
  readonly package: string
  readonly version: string
  readonly file: string
  /** Tags that pip chooses the file by, as it would for an interpreter of this kind. */
  readonly python: string
  readonly platform: string
  readonly sha256: string
  /** Of the file, about. */
  readonly bytes: number
  /** Patterns (Python's fnmatch) of the members that are kept. */
  readonly keep: readonly string[]
  /** Members lie beside each other, without their own folders. */
  readonly flat?: boolean
}

export interface WheelsOptions {
  /** What is installed, for messages. */
  readonly title: string
  readonly wheels: readonly Wheel[]
  /** The folder to fill; undefined where this user has none. */
  readonly folder: string | undefined
  /** Whether the folder is whole. */
  complete(folder: string): boolean
  /** Work on the files before the folder takes its place. */
  finish?(folder: string): void
  /** The Python whose pip fetches the wheels and whose zipfile unpacks them; `python3` by default. */
  readonly python?: string
  /** Install what is there already. */
  readonly force?: boolean
  /** Progress, a line each. */
  say?(line: string): void
}

/** Members of the wheel (the first argument) that match into a folder (the second). */
const UNPACK = `
import fnmatch, os, shutil, sys, zipfile
wheel, folder, flat, patterns = sys.argv[1], sys.argv[2], sys.argv[3] == 'flat', sys.argv[4:]
with zipfile.ZipFile(wheel) as archive:
    names = [n for n in archive.namelist() if any(fnmatch.fnmatchcase(n, p) for p in patterns) and not n.endswith('/')]
    if not names:
        sys.exit('nothing in it matches ' + ' '.join(patterns))
    for name in names:
        parts = [os.path.basename(name)] if flat else [p for p in name.split('/') if p not in ('', '.', '..')]
        target = os.path.join(folder, *parts)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with archive.open(name) as source, open(target, 'wb') as out:
            shutil.copyfileobj(source, out, 1 << 20)
`

/**
 * Fetches pinned wheels with pip, checks their hashes and unpacks what is needed of them. The folder is filled beside its
 * place and renamed into it, so that it is whole or not there; two installers at once do no harm. Wheels that were
 * fetched whole are kept until all is done: an installation that was cut off goes on where it was.
 *
 * @returns the folder, and whether it was filled just now
 * @throws SubtenError ENGINE_NOT_FOUND with what failed and what to do
 */
export async function installWheels(
  options: WheelsOptions,
): Promise<{ readonly folder: string; readonly fresh: boolean }> {
  const { title, wheels, folder, python = process.env.SUBTEN_PYTHON || 'python3', force = false, say } = options
  const fail = failureOf(title)
  if (folder === undefined) {
    throw fail('there is no folder for it: this user has no home', 'Set SUBTEN_CACHE_DIR to a folder.')
  }
  const note = wheels.map(({ sha256 }) => sha256).join('\n')
  if (!force && options.complete(folder) && noteOf(folder) === note) return { folder, fresh: false }
  removeAbandoned(folder)
  const fresh = `${folder}.${process.pid}`
  const downloads = `${folder}.download`
  try {
    fs.rmSync(fresh, { recursive: true, force: true })
    fs.mkdirSync(fresh, { recursive: true })
    fs.mkdirSync(downloads, { recursive: true })
    checkRoom(wheels, downloads, fail)
    await checkPython(python, fail)
    for (const wheel of wheels) {
      const file = await fetched(wheel, downloads, python, say, fail)
      say?.(`unpacking ${wheel.file}`)
      const { code, output } = await run(python, [
        '-c',
        UNPACK,
        file,
        fresh,
        wheel.flat ? 'flat' : 'tree',
        ...wheel.keep,
      ])
      if (code !== 0) throw fail(`${wheel.file} cannot be unpacked: ${lastLines(output)}`, roomOr(output))
    }
    options.finish?.(fresh)
    fs.writeFileSync(join(fresh, INSTALLED_NOTE), note)
    replace(folder, fresh, options.complete)
    fs.rmSync(downloads, { recursive: true, force: true })
  } catch (error) {
    if (error instanceof SubtenError) throw error
    throw fail(`the files cannot be written: ${(error as Error).message}`, `${needed(wheels)} are needed on the disk.`)
  } finally {
    fs.rmSync(fresh, { recursive: true, force: true })
    if (fs.existsSync(downloads) && fs.readdirSync(downloads).length === 0) fs.rmdirSync(downloads)
  }
  return { folder, fresh: true }
}

const ABANDONED_MS = 3_600_000

/** What installers left that were killed. The hour is for those whose process ids mean nothing here: in containers. */
function removeAbandoned(folder: string): void {
  if (!fs.existsSync(dirname(folder))) return
  for (const name of fs.readdirSync(dirname(folder))) {
    if (!name.startsWith(`${basename(folder)}.`) || !/^(?:old\.)?\d+$/.test(name.slice(basename(folder).length + 1)))
      continue
    const place = join(dirname(folder), name)
    const { mtimeMs } = fs.statSync(place, { throwIfNoEntry: false }) ?? { mtimeMs: Date.now() }
    if (Date.now() - mtimeMs > ABANDONED_MS) fs.rmSync(place, { recursive: true, force: true })
  }
}

type Fail = (why: string, remedy?: string) => SubtenError

const failureOf =
  (title: string): Fail =>
  (why, remedy) =>
    new SubtenError('ENGINE_NOT_FOUND', `${title} was not installed: ${why}`, {
      ...(remedy !== undefined && { remedy }),
    })

/** Compressed once, and unpacked about twice as large. */
const needed = (wheels: readonly Wheel[]): string =>
  `About ${Math.ceil((3 * wheels.reduce((sum, { bytes }) => sum + bytes, 0)) / 1e6)} MB`

function checkRoom(wheels: readonly Wheel[], folder: string, fail: Fail): void {
  const missing = wheels.filter(({ file }) => !fs.existsSync(join(folder, file)))
  const { bavail, bsize } = fs.statfsSync(folder)
  const bytes = 3 * missing.reduce((sum, wheel) => sum + wheel.bytes, 0)
  if (bavail * bsize >= bytes) return
  throw fail(
    `${Math.floor((bavail * bsize) / 1e6)} MB are free where ${folder} lies`,
    `${needed(missing)} are needed: make room, or set SUBTEN_CACHE_DIR to a folder on another disk.`,
  )
}

async function checkPython(python: string, fail: Fail): Promise<void> {
  const { code, output } = await run(python, ['-m', 'pip', '--version'])
  if (code === 0) return
  const what = code === undefined ? `there is no Python at '${python}'` : `${python} has no pip: ${lastLines(output)}`
  throw fail(
    what,
    'Install Python 3 with pip (apt-get install python3 python3-pip), or name another one with --python or SUBTEN_PYTHON.',
  )
}

/** The file of a wheel, by pip where it is not there yet. */
async function fetched(
  wheel: Wheel,
  folder: string,
  python: string,
  say: WheelsOptions['say'],
  fail: Fail,
): Promise<string> {
  const file = join(folder, wheel.file)
  if (fs.existsSync(file) && (await hashOf(file)) === wheel.sha256) {
    say?.(`${wheel.file} was fetched before`)
    return file
  }
  say?.(`fetching ${wheel.file} (${Math.ceil(wheel.bytes / 1e6)} MB) with pip`)
  // A folder of its own: pip renames what it has whole into it.
  const into = join(folder, `${basename(wheel.file)}.${process.pid}`)
  fs.rmSync(into, { recursive: true, force: true })
  fs.mkdirSync(into, { recursive: true })
  try {
    const { code, output } = await run(python, [
      ...[
        '-m',
        'pip',
        'download',
        '--no-deps',
        '--only-binary=:all:',
        '--disable-pip-version-check',
        '--no-input',
        '-q',
      ],
      ...['--python-version', wheel.python, '--platform', wheel.platform, '--dest', into],
      `${wheel.package}==${wheel.version}`,
    ])
    if (code !== 0) throw fail(`pip download failed: ${lastLines(output)}`, roomOr(output))
    const here = join(into, wheel.file)
    if (!fs.existsSync(here)) {
      const found = fs.readdirSync(into).join(', ') || 'nothing'
      throw fail(`pip fetched ${found} instead of ${wheel.file}`, 'See which index pip asks (pip config list).')
    }
    const hash = await hashOf(here)
    if (hash !== wheel.sha256) {
      throw fail(
        `${wheel.file} is not the file that subten names: its SHA-256 is ${hash}, not ${wheel.sha256}`,
        'Do not use it. See which index or proxy pip asks (pip config list).',
      )
    }
    fs.renameSync(here, file)
    return file
  } finally {
    fs.rmSync(into, { recursive: true, force: true })
  }
}

function roomOr(output: string): string {
  if (/no space left/i.test(output)) return 'Make room on the disk, or set SUBTEN_CACHE_DIR to a folder on another one.'
  return 'Check the network, or name an index that has the package to pip (PIP_INDEX_URL, PIP_FIND_LINKS).'
}

function hashOf(file: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const hash = createHash('sha256')
    fs.createReadStream(file)
      .on('data', (chunk) => hash.update(chunk))
      .on('end', () => resolve(hash.digest('hex')))
      .on('error', reject)
  })
}

/**
 * A library gets a SONAME of its own in place of the usual one, else the loader would hand it to whoever else in the
 * process asks for one by that name (onnxruntime-node).
 */
export function renameSoname(path: string, { from, to }: { from: string; to: string }): void {
  const image = fs.readFileSync(path)
  const at = image.indexOf(`\0${from}\0`, 0, 'latin1')
  if (at < 0 || to.length > from.length) throw new Error(`${path} has no SONAME ${from}`)
  image.fill(0, at + 1, at + 1 + from.length)
  image.write(to, at + 1, 'latin1')
  fs.writeFileSync(path, image)
}

/** The new folder takes the old one's place. */
function replace(folder: string, fresh: string, complete: (folder: string) => boolean): void {
  const old = `${folder}.old.${process.pid}`
  fs.mkdirSync(dirname(folder), { recursive: true })
  if (fs.existsSync(folder)) fs.renameSync(folder, old)
  try {
    fs.renameSync(fresh, folder)
  } catch (error) {
    // Another installer was sooner: its folder is as good.
    if (!complete(folder)) throw error
  }
  fs.rmSync(old, { recursive: true, force: true })
}

function noteOf(folder: string): string | undefined {
  const file = join(folder, INSTALLED_NOTE)
  return fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : undefined
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

/** @throws SubtenError UNSUPPORTED_PLATFORM where no x86-64 Linux with glibc 2.28 is */
export function checkWheelPlatform(what: string, remedy: string): void {
  const { header } = process.report.getReport() as { header: { glibcVersionRuntime?: string } }
  const [major = 0, minor = 0] = (header.glibcVersionRuntime ?? '').split('.').map(Number)
  const enough = major > 2 || (major === 2 && minor >= 28)
  if (process.platform === 'linux' && process.arch === 'x64' && enough) return
  const libc = header.glibcVersionRuntime ? `glibc ${header.glibcVersionRuntime}` : 'no glibc'
  throw new SubtenError(
    'UNSUPPORTED_PLATFORM',
    `${what} runs on x86-64 Linux with glibc 2.28 or newer; this is ${process.platform} ${process.arch}, ${libc}`,
    { remedy },
  )
}
