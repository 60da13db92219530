// Builds the addon with cmake-js and puts it where node-gyp-build looks: build/Release/subten.node.
//   node scripts/build-native.mjs [output file] [-- more cmake-js arguments]
import { copyFileSync, mkdirSync, renameSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { at, main, root, runTool } from './step.mjs'

export async function buildNative({ output = at('build', 'Release', 'subten.node'), args = [], quiet = false } = {}) {
  // 'build', not 'compile': that one answers a compile error by removing everything and building again.
  // A folder of its own: under node-gyp, build/ belongs to the make that calls this script.
  const folder = join('build', 'native')
  await runTool('cmake-js/bin/cmake-js', ['build', '--out', folder, ...args], { quiet })
  mkdirSync(dirname(output), { recursive: true })
  // Renamed into place: a process that has the old file mapped keeps it whole.
  const fresh = `${output}.${process.pid}`
  copyFileSync(join(root, folder, 'Release', 'subten.node'), fresh)
  renameSync(fresh, output)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [output, ...rest] = process.argv.slice(2)
  const file = output && output !== '--' ? resolve(output) : undefined
  main(() => buildNative({ output: file, args: rest.filter((arg) => arg !== '--') }))
}
