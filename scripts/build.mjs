// npm run build [native|ts|engine]: makes what is out of date, all three by default.
import { chmodSync, existsSync, mkdirSync, rmSync, symlinkSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildNative } from './build-native.mjs'
import { fetchLibraries } from './fetch-library.mjs'
import { at, contentHash, filesUnder, isFresh, locked, main, runTool, StepError, say, stamp } from './step.mjs'
import { placeBackend } from './triton-backend.mjs'

export async function build(parts = ['native', 'ts', 'engine'], { quiet = true } = {}) {
  await locked(async () => {
    if (parts.includes('native')) await native(quiet)
    if (parts.includes('ts')) await typescript(quiet)
    if (parts.includes('engine')) await fetchLibraries()
  })
}

async function native(quiet) {
  // Of the tests only the backend for Triton is built with the addon.
  const tests = (file) => file.startsWith('native/test/') && !file.startsWith('native/test/triton/')
  const sources = filesUnder(['native', 'CMakeLists.txt', 'package.json'], (file) => !tests(file))
  const hash = contentHash(sources, process.platform, process.arch)
  const backends = process.platform === 'linux' ? ['subten_onnxruntime', 'subten_identity'] : []
  const outputs = backends.map((name) => `build/Release/triton-backends/${name}/libtriton_${name}.so`)
  if (!isFresh('native', hash, ['build/Release/subten.node', ...outputs])) {
    say('building the native addon (cmake-js)')
    await buildNative({ quiet })
    stamp('native', hash)
  }
  placeBackend()
}

async function typescript(quiet) {
  const sources = filesUnder([
    'src',
    'schemas',
    'tsup.config.ts',
    'tsconfig.json',
    'tsconfig.build.json',
    'package.json',
  ])
  const hash = contentHash(sources)
  const outputs = [
    'dist/index.js',
    'dist/index.cjs',
    'dist/index.d.ts',
    'dist/index.d.cts',
    'dist/cli.js',
    'dist/profile-worker.js',
  ]
  if (isFresh('ts', hash, outputs)) return linkCommand()
  say('building TypeScript (tsup)')
  rmSync(at('dist'), { recursive: true, force: true })
  await runTool('tsup/dist/cli-default.js', [], { quiet })
  chmodSync(at('dist', 'cli.js'), 0o755)
  stamp('ts', hash)
  linkCommand()
}

/** npm links the commands of dependencies only; this makes `npx subten` work in the checkout itself. */
function linkCommand() {
  const link = at('node_modules', '.bin', 'subten')
  if (process.platform === 'win32' || existsSync(link)) return
  rmSync(link, { force: true })
  mkdirSync(dirname(link), { recursive: true })
  symlinkSync('../../dist/cli.js', link)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const parts = process.argv.slice(2)
  const unknown = parts.find((part) => !['native', 'ts', 'engine'].includes(part))
  main(async () => {
    if (unknown) throw new StepError(`unknown part '${unknown}': native, ts or engine`)
    await build(parts.length ? parts : undefined, { quiet: false })
  })
}
