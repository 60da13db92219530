// npm run triton:install: Triton's server library, its binary, its Python backend and a Python environment for it, in
// .cache/triton. Everything is pinned with its hash in scripts/triton.json and comes through pip.
//   node scripts/triton-install.mjs [--force] [--python <interpreter>]
import { spawnSync } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { needsOf } from './elf-file.mjs'
import { at, contentHash, locked, main, run, StepError, say } from './step.mjs'
import { which } from './tools.mjs'
import { placeBackend } from './triton-backend.mjs'

const pins = JSON.parse(fs.readFileSync(new URL('./triton.json', import.meta.url), 'utf8'))
const place = at('.cache', 'triton')
const sources = ['triton-install.mjs', 'triton-stub.sh', 'triton.json'].map((name) => `scripts/${name}`)

/** Installs Triton unless the right one is there already. Returns the folder. */
export async function installTriton({ force = false, python } = {}) {
  checkPlatform()
  const chosen = choosePython(python)
  const wanted = contentHash(sources, chosen.executable, chosen.version)
  const note = join(place, 'installed')
  const whole = ['lib/libtritonserver.so', 'lib/load-order', 'bin/tritonserver', 'python/bin/python3']
  const complete = whole.every((file) => fs.existsSync(join(place, file)))
  if (!force && complete && fs.existsSync(note) && fs.readFileSync(note, 'utf8') === wanted) {
    say(`Triton ${pins.core} is there: .cache/triton`)
    placeBackend()
    return place
  }

  say(`installing Triton ${pins.core} with Python ${chosen.version} (${chosen.executable})`)
  const fresh = `${place}.${process.pid}`
  fs.rmSync(fresh, { recursive: true, force: true })
  fs.mkdirSync(fresh, { recursive: true })
  try {
    await layOutServer(fresh, chosen)
    await makeEnvironment(fresh, chosen)
    fs.writeFileSync(join(fresh, 'installed'), wanted)
    replace(fresh)
    placeBackend() // where it was built before Triton came
  } finally {
    fs.rmSync(fresh, { recursive: true, force: true })
  }
  say('Triton is in .cache/triton')
  return place
}

function checkPlatform() {
  const glibc = process.report.getReport().header.glibcVersionRuntime
  const [major = 0, minor = 0] = (glibc ?? '').split('.').map(Number)
  const enough = major > 2 || (major === 2 && minor >= 35)
  if (process.platform === 'linux' && process.arch === 'x64' && enough) return
  const here = `${process.platform} ${process.arch}${glibc ? `, glibc ${glibc}` : ''}`
  throw new StepError(
    `the pinned Triton runs on x86-64 Linux with glibc 2.35 or newer (Debian 12, Ubuntu 22.04); this is ${here}. ` +
      "Use NVIDIA's container, or point TRITON_SERVER_LIB to a library of your own.",
  )
}

/** What decides whether an interpreter can serve the Python backend: it embeds Python, so it needs a libpython. */
const question = `
import importlib.util, json, os, sys, sysconfig
folder = sysconfig.get_config_var('LIBDIR') or ''
name = sysconfig.get_config_var('INSTSONAME') or ''
multi = sysconfig.get_config_var('MULTIARCH') or ''
places = [os.path.join(folder, name), os.path.join(folder, multi, name)]
print(json.dumps({
  'executable': os.path.realpath(sys.executable), 'version': '%d.%d' % sys.version_info[:2],
  'library': next((p for p in places if '.so' in name and os.path.exists(p)), None),
  'lacks': [m for m in ('venv', 'pip') if importlib.util.find_spec(m) is None]}))`

/** The first Python that can do it; the reasons against the others are the error. */
function choosePython(given) {
  const names = ['python3', ...pins.python.map((version) => `python${version}`).reverse(), '/usr/bin/python3']
  const reasons = []
  for (const name of given ? [given] : names) {
    const path = which(name)
    if (!path) {
      if (given || name === 'python3') reasons.push(`${name}: not found`)
      continue
    }
    const { status, stdout } = spawnSync(path, ['-c', question], { encoding: 'utf8' })
    if (status !== 0) continue
    const found = JSON.parse(stdout)
    const reason = unusable(found)
    if (!reason) return found
    reasons.push(`${path}: ${reason}`)
  }
  throw new StepError(
    `no Python that Triton's Python backend can use:\n${[...new Set(reasons)].map((line) => `  ${line}\n`).join('')}` +
      'Install one (apt-get install python3 python3-pip python3-venv), or name it with --python.',
  )
}

function unusable({ version, library, lacks }) {
  if (!pins.python.includes(version)) {
    // The wheel's stubs need numpy 1.x (with 2 every output is empty), which Python 3.13 does not have.
    return `this Triton's Python backend cannot use Python ${version} (it takes ${pins.python.join(', ')})`
  }
  if (lacks.length) return `the module ${lacks.join(' and ')} is missing: apt-get install python3-${lacks[0]}`
  if (!library) {
    return `it has no shared libpython${version}.so.1.0: apt-get install libpython${version}, or build Python with --enable-shared`
  }
  return undefined
}

/** lib, bin, backends and caches, from the wheel. */
async function layOutServer(fresh, python) {
  const wheel = join(fresh, 'wheel')
  await pip(python, 'download', requirement(fresh, pins.wheel), ['--no-deps', '--dest', wheel])
  const [file] = fs.readdirSync(wheel)
  const open = join(fresh, 'open')
  await run(python.executable, ['-m', 'zipfile', '-e', join(wheel, file), open], { quiet: true })
  const inside = join(open, 'pytriton', 'tritonserver')
  fs.renameSync(join(open, 'nvidia_pytriton.libs'), join(fresh, 'lib'))
  for (const folder of ['bin', 'backends', 'caches']) fs.renameSync(join(inside, folder), join(fresh, folder))
  fs.chmodSync(join(fresh, 'bin', 'tritonserver'), 0o755)
  layOutLibraries(join(fresh, 'lib'))
  layOutStubs(join(fresh, 'backends', 'python'), join(inside, 'python_backend_stubs'), python)
  for (const folder of [wheel, open]) fs.rmSync(folder, { recursive: true })
}

/**
 * The libraries of the wheel do not find one another: whoever loads libtritonserver loads them before it, in the order
 * of lib/load-order. A line is `deep` or `plain` and a name. Deep (RTLD_DEEPBIND) are those in C, which would else
 * take OpenSSL and zlib from node's executable; those in C++ share the process's streams and must not be.
 */
function layOutLibraries(lib) {
  const needs = new Map()
  for (const name of fs.readdirSync(lib).sort()) needs.set(name, needsOf(fs.readFileSync(join(lib, name))).needed)
  const server = [...needs.keys()].find((name) => name.startsWith('libtritonserver'))
  const order = []
  const visit = (name) => {
    if (order.includes(name)) return
    for (const other of needs.get(name)) if (needs.has(other)) visit(other)
    order.push(name)
  }
  for (const name of needs.keys()) if (name !== server && !name.startsWith('libpython')) visit(name)
  visit(server)
  const kind = (name) => (name === server || needs.get(name).includes('libstdc++.so.6') ? 'plain' : 'deep')
  fs.writeFileSync(join(lib, 'load-order'), order.map((name) => `${kind(name)} ${name}\n`).join(''))
  fs.symlinkSync(server, join(lib, 'libtritonserver.so'))
}

/** The stub of every Python; beside each the libraries that it looks for, so that it finds no others of their names. */
function layOutStubs(backend, stubs, python) {
  for (const version of pins.python) {
    const folder = join(backend, 'stubs', version)
    const file = join(folder, 'triton_python_backend_stub')
    fs.mkdirSync(folder, { recursive: true })
    fs.renameSync(join(stubs, version, 'triton_python_backend_stub'), file)
    fs.chmodSync(file, 0o755)
    const libpython = needsOf(fs.readFileSync(file)).needed.find((name) => name.startsWith('libpython'))
    if (version === python.version) fs.symlinkSync(python.library, join(folder, libpython))
  }
  fs.writeFileSync(join(backend, 'stubs', 'version'), `${python.version}\n`)
  fs.copyFileSync(at('scripts', 'triton-stub.sh'), join(backend, 'triton_python_backend_stub'))
  fs.chmodSync(join(backend, 'triton_python_backend_stub'), 0o755)
}

/** python/: a virtual environment with numpy. It needs no pip of its own. */
async function makeEnvironment(fresh, python) {
  const folder = join(fresh, 'python')
  await run(python.executable, ['-m', 'venv', '--without-pip', folder], { quiet: true })
  const packages = join(folder, 'lib', `python${python.version}`, 'site-packages')
  await pip(python, 'install', requirement(fresh, pins.numpy[python.version]), ['--no-deps', '--target', packages])
  await run(join(folder, 'bin', 'python3'), ['-c', 'import numpy'], { quiet: true })
  // The scripts that activate it hold its path.
  for (const name of fs.readdirSync(join(folder, 'bin'))) {
    const script = join(folder, 'bin', name)
    if (!/^activate/i.test(name)) continue
    fs.writeFileSync(script, fs.readFileSync(script, 'utf8').replaceAll(fresh, place))
  }
  fs.rmSync(join(fresh, 'requirements.txt'))
}

function requirement(folder, { name, version, sha256 }) {
  const file = join(folder, 'requirements.txt')
  fs.writeFileSync(file, `${name}==${version} --hash=sha256:${sha256}\n`)
  return file
}

async function pip(python, verb, requirements, options) {
  const fixed = ['--require-hashes', '--only-binary=:all:', '--disable-pip-version-check', '--no-input', '-q']
  const args = ['-m', 'pip', verb, ...fixed, ...options, '-r', requirements]
  const { code, output } = await run(python.executable, args, { quiet: true, check: false })
  if (code === 0) return
  throw new StepError(`pip ${verb} failed: ${remedyFor(output)}\n${output.trim().split('\n').slice(-6).join('\n')}`)
}

/** What pip's output means for the user. */
export function remedyFor(output) {
  if (/do not match the hashes/i.test(output)) {
    return 'a file is not the one that scripts/triton.json names. Do not use it; see which index or proxy pip asks (pip config list)'
  }
  if (/no space left/i.test(output)) return 'the disk is full: about 600 MB are needed'
  if (/no matching distribution|could not find a version|connection|timed out|name resolution/i.test(output)) {
    return 'the package index cannot be reached or lacks the package. Check the network, or name an index to pip (PIP_INDEX_URL, PIP_FIND_LINKS)'
  }
  return 'pip says'
}

/** The new tree takes the old one's place; the backend that the native build has put there stays. */
function replace(fresh) {
  const ours = join('backends', 'subten_onnxruntime')
  const old = `${place}.old.${process.pid}`
  if (fs.existsSync(join(place, ours))) fs.cpSync(join(place, ours), join(fresh, ours), { recursive: true })
  if (fs.existsSync(place)) fs.renameSync(place, old)
  fs.renameSync(fresh, place)
  fs.rmSync(old, { recursive: true, force: true })
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const args = process.argv.slice(2)
  const named = args.indexOf('--python')
  const python = named >= 0 ? args[named + 1] : process.env.SUBTEN_PYTHON
  main(() => locked(() => installTriton({ force: args.includes('--force'), python })))
}
