// Puts our backend for Triton where `npm run triton:install` keeps a Triton, with the ONNX Runtime that it loads beside it.
// Nothing happens while one of the two is missing: the build and the installation both call this.
import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { at, main, say } from './step.mjs'

/** The folder that the native build leaves backends in, each in a folder of its name. */
export const builtBackends = at('build', 'Release', 'triton-backends')

const name = 'subten_onnxruntime'
const library = 'libsubten_onnxruntime.so.1'

/** Returns the backend's path under `triton` (default: `.cache/triton`), or undefined when there is nothing to place. */
export function placeBackend(triton = at('.cache', 'triton')) {
  const file = `libtriton_${name}.so`
  const built = join(builtBackends, name, file)
  if (!existsSync(triton) || !existsSync(built)) return undefined
  const folder = join(triton, 'backends', name)
  mkdirSync(folder, { recursive: true })
  placeFile(built, join(folder, file))
  placeLink(at('npm', 'onnxruntime-linux-x64', 'lib', library), folder)
  return join(folder, file)
}

/** Renamed into place: a server that has the old file mapped keeps it whole. */
export function placeFile(from, to) {
  if (existsSync(to) && readFileSync(from).equals(readFileSync(to))) return
  const fresh = `${to}.${process.pid}`
  copyFileSync(from, fresh)
  renameSync(fresh, to)
}

/** A link, so that the server and subten in one process load one and the same library. It may lead nowhere until the engine is built. */
function placeLink(target, folder) {
  const link = join(folder, library)
  rmSync(link, { force: true })
  symlinkSync(relative(folder, target), link)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  main(async () => {
    const placed = placeBackend()
    say(placed ? `the Triton backend lies in ${placed}` : 'no Triton, or no backend that was built: nothing to place')
  })
}
