// Builds the addon with cmake-js and puts it where node-gyp-build looks: build/Release/subten.node. On Linux the backends
// for Triton are built as well, into build/Release/triton-backends.
//   node scripts/build-native.mjs [output file] [-- more cmake-js arguments]
import { copyFileSync, existsSync, mkdirSync, readdirSync, renameSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { at, main, root, runTool } from './step.mjs'

export async function buildNative({ output = at('build', 'Release', 'subten.node'), args = [], quiet = false } = {}) {
  // 'build', not 'compile': that one answers a compile error by removing everything and building again.
  // A folder of its own: under node-gyp, build/ belongs to the make that calls this script.
  const folder = join('build', 'native')
  await runTool('cmake-js/bin/cmake-js', ['build', '--out', folder, ...args], { quiet })
  mkdirSync(dirname(output), { recursive: true })
  const built = join(root, folder, 'Release')
  place(join(built, 'subten.node'), output)
  const backends = join(built, 'triton-backends')
  for (const name of existsSync(backends) ? readdirSync(backends) : []) {
    const file = join('triton-backends', name, `libtriton_${name}.so`)
    mkdirSync(join(dirname(output), 'triton-backends', name), { recursive: true })
    place(join(built, file), join(dirname(output), file))
  }
}

/** Renamed into place: a process that has the old file mapped keeps it whole. */
function place(from, to) {
  const fresh = `${to}.${process.pid}`
  copyFileSync(from, fresh)
  renameSync(fresh, to)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [output, ...rest] = process.argv.slice(2)
  const file = output && output !== '--' ? resolve(output) : undefined
  main(() => buildNative({ output: file, args: rest.filter((arg) => arg !== '--') }))
}
