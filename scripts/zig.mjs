// The pinned compiler of prebuilt addons, in .cache/zig: it links against any glibc, for any processor, on any Linux.
import * as fs from 'node:fs'
import { join } from 'node:path'
import { at, contentHash, run, StepError, say } from './step.mjs'
import { which } from './tools.mjs'

const requirements = 'scripts/zig-requirements.txt'

/** Installs it unless it is there. Returns `{ zig, ar, ranlib, env }`: programs, and the environment that they want. */
export async function zigCompiler() {
  const place = at('.cache', 'zig')
  const wanted = contentHash([requirements])
  const note = join(place, 'installed')
  if (!fs.existsSync(note) || fs.readFileSync(note, 'utf8') !== wanted) await install(place, note, wanted)
  const zig = join(place, 'ziglang', 'zig')
  const cache = at('.cache', 'zig-cache')
  return {
    zig,
    ar: wrapper(place, zig, 'ar'),
    ranlib: wrapper(place, zig, 'ranlib'),
    env: { ZIG_GLOBAL_CACHE_DIR: cache, ZIG_LOCAL_CACHE_DIR: cache },
  }
}

async function install(place, note, wanted) {
  const python = which('python3')
  if (!python) throw new StepError('python3 with pip is needed to install the compiler of prebuilt addons')
  say(`installing the compiler of prebuilt addons (${requirements}) into .cache/zig`)
  fs.rmSync(place, { recursive: true, force: true })
  const fixed = ['--require-hashes', '--only-binary=:all:', '--no-deps', '--disable-pip-version-check', '--no-input']
  const args = ['-m', 'pip', 'install', '-q', ...fixed, '--target', place, '-r', at(requirements)]
  await run(python, args, { quiet: true, env: { PIP_ROOT_USER_ACTION: 'ignore' } })
  fs.writeFileSync(note, wanted)
}

/** cmake takes one path for these programs, and no arguments. */
function wrapper(place, zig, name) {
  const file = join(place, `zig-${name}`)
  fs.writeFileSync(file, `#!/bin/sh\nexec '${zig}' ${name} "$@"\n`, { mode: 0o755 })
  return file
}
