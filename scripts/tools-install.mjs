// npm run tools:install: the Python environment of tools/ (`subten quantize`): a virtual environment with the packages of
// tools/requirements.txt, each pinned with its hashes. In .cache/tools of a checkout; for an installed package in a
// folder of the cache (`$SUBTEN_CACHE_DIR`, `$XDG_CACHE_HOME/subten` or `~/.cache/subten`), which updates do not take away.
//   node scripts/tools-install.mjs [--force] [--python <interpreter>]
import { spawnSync } from 'node:child_process'
import * as fs from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { at, contentHash, locked, main, run, StepError, say } from './step.mjs'
import { which } from './tools.mjs'

const OLDEST = [3, 11]
/** Newest first; the pinned packages have wheels for these. */
const NAMES = ['python3', 'python3.14', 'python3.13', 'python3.12', 'python3.11', '/usr/bin/python3']
const requirements = at('tools', 'requirements.txt')

/** Installs the environment unless the right one is there already. Returns its folder. */
export async function installTools({ force = false, python } = {}) {
  const place = toolsFolder()
  const chosen = choosePython(python)
  const wanted = contentHash(['tools/requirements.txt'], chosen.executable, chosen.version)
  const note = join(place, 'installed')
  const complete = fs.existsSync(join(place, 'bin', 'python3')) && fs.existsSync(note)
  if (!force && complete && fs.readFileSync(note, 'utf8') === wanted) {
    say(`the Python tools are there: ${place}`)
    return place
  }
  say(`installing the Python tools with Python ${chosen.version} (${chosen.executable}) into ${place}`)
  const install = async () => {
    try {
      // A virtual environment knows its own path: it is made in its place, and is complete when the note is there.
      fs.rmSync(place, { recursive: true, force: true })
      await makeEnvironment(place, chosen)
      fs.writeFileSync(note, wanted)
    } catch (error) {
      fs.rmSync(place, { recursive: true, force: true })
      throw error
    }
  }
  await locked(install, { lock: `${place}.lock`, other: 'another install' })
  say(`the Python tools are in ${place} (${megabytes(place)} MB)`)
  return place
}

/** Where `src/quantize/tools-python.ts` looks. */
export function toolsFolder(env = process.env) {
  if (fs.existsSync(at('src', 'index.ts'))) return at('.cache', 'tools')
  const { version } = JSON.parse(fs.readFileSync(at('package.json'), 'utf8'))
  const cache = env.SUBTEN_CACHE_DIR || (env.XDG_CACHE_HOME ? join(env.XDG_CACHE_HOME, 'subten') : undefined)
  return join(cache ?? join(homedir(), '.cache', 'subten'), `tools-${version}`)
}

const question = `
import importlib.util, json, os, sys
print(json.dumps({'executable': os.path.realpath(sys.executable), 'version': list(sys.version_info[:3]),
  'lacks': [m for m in ('venv', 'ensurepip') if importlib.util.find_spec(m) is None]}))`

/** The first Python that will do; the reasons against the others are the error. */
function choosePython(given) {
  const reasons = []
  for (const name of given ? [given] : NAMES) {
    const path = which(name)
    if (!path) {
      if (given || name === 'python3') reasons.push(`${name}: not found`)
      continue
    }
    const { status, stdout } = spawnSync(path, ['-c', question], { encoding: 'utf8' })
    if (status !== 0) {
      reasons.push(`${path}: cannot be run`)
      continue
    }
    const { executable, version, lacks } = JSON.parse(stdout)
    const text = version.join('.')
    if (version[0] < OLDEST[0] || (version[0] === OLDEST[0] && version[1] < OLDEST[1])) {
      reasons.push(`${path}: is Python ${text}; ONNX Runtime's tools need ${OLDEST.join('.')} or newer`)
    } else if (lacks.length > 0) {
      reasons.push(`${path}: its module ${lacks.join(' and ')} is missing`)
    } else {
      return { executable, version: text }
    }
  }
  const command = which('apt-get') ? aptCommand() : 'your package manager: python3, pip and venv'
  throw new StepError(
    `no Python that can run the tools:\n${[...new Set(reasons)].map((line) => `  ${line}\n`).join('')}` +
      `Install one with: ${command}\nor name one with --python.`,
  )
}

function aptCommand() {
  const words = ['apt-get', 'install', '-y', '--no-install-recommends', 'python3', 'python3-pip', 'python3-venv']
  return (process.getuid?.() === 0 ? words : ['sudo', ...words]).join(' ')
}

async function makeEnvironment(place, python) {
  await run(python.executable, ['-m', 'venv', place], { quiet: true })
  const inside = join(place, 'bin', 'python3')
  const fixed = [
    '--require-hashes',
    '--only-binary=:all:',
    '--no-deps',
    '--disable-pip-version-check',
    '--no-input',
    '-q',
  ]
  const { code, output } = await run(inside, ['-m', 'pip', 'install', ...fixed, '-r', requirements], {
    quiet: true,
    check: false,
  })
  if (code !== 0)
    throw new StepError(`pip failed: ${remedyFor(output)}\n${output.trim().split('\n').slice(-6).join('\n')}`)
  await run(inside, ['-c', 'import onnx, onnxruntime.quantization, sympy'], {
    quiet: true,
    env: { ORT_DISABLE_TELEMETRY: '1' },
  })
}

/** What pip's output means for the user. */
export function remedyFor(output) {
  if (/do not match the hashes/i.test(output)) {
    return 'a file is not the one that tools/requirements.txt names. Do not use it; see which index or proxy pip asks (pip config list)'
  }
  if (/no space left/i.test(output)) return 'the disk is full: about 300 MB are needed'
  if (/no matching distribution|could not find a version|connection|timed out|name resolution/i.test(output)) {
    return 'the package index cannot be reached, or has no wheel for this Python and platform. Check the network, or name an index to pip (PIP_INDEX_URL, PIP_FIND_LINKS)'
  }
  return 'pip says'
}

function megabytes(folder) {
  const bytes = fs
    .readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + fs.statSync(join(entry.parentPath ?? entry.path, entry.name)).size, 0)
  return Math.round(bytes / 1e6)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const args = process.argv.slice(2)
  const named = args.indexOf('--python')
  const python = named >= 0 ? args[named + 1] : process.env.SUBTEN_PYTHON
  main(() => installTools({ force: args.includes('--force'), python }))
}
