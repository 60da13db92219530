// Fills npm/onnxruntime-<platform>/lib with ONNX Runtime's library, taken from the npm package that
// scripts/onnxruntime.json pins, and gives it a SONAME of our own, so that another version of the same library
// (onnxruntime-node under transformers.js) can live beside it in one process.
//   node scripts/fetch-onnxruntime.mjs [platform] [--force]
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { setSoname } from './elf-soname.mjs'
import { npm } from './npm.mjs'
import { at, main, run, StepError, say } from './step.mjs'

const pin = JSON.parse(readFileSync(new URL('./onnxruntime.json', import.meta.url), 'utf8'))

/** Makes the library of one platform unless the right one is there already. Returns its path. */
export async function fetchOnnxRuntime({ platform = `${process.platform}-${process.arch}`, force = false } = {}) {
  const file = pin.platforms[platform]
  if (!file) {
    say(`no ONNX Runtime package for ${platform} (there is one for ${Object.keys(pin.platforms).join(', ')})`)
    return undefined
  }
  const output = at('npm', `onnxruntime-${platform}`, 'lib', file.output)
  if (!force && hashOf(output) === file.result) return output

  say(`preparing ONNX Runtime ${pin.version} for ${platform}`)
  const image = installed(file) ?? (await download(file))
  if (file.soname) setSoname(image, file.soname)
  const result = sha256(image)
  if (result !== file.result)
    throw new StepError(`${file.output} came out as ${result}, not as scripts/onnxruntime.json says`)
  mkdirSync(dirname(output), { recursive: true })
  // Renamed into place: a process that has the old file mapped keeps it whole.
  const fresh = `${output}.${process.pid}`
  writeFileSync(fresh, image, { mode: 0o755 })
  renameSync(fresh, output)
  return output
}

/** The library out of the onnxruntime-node that `npm ci` installed, if it is exactly the pinned one. */
function installed(file) {
  const path = at('node_modules', pin.package, file.source)
  return hashOf(path) === file.sha256 ? readFileSync(path) : undefined
}

/** The library out of the pinned tarball. `npm pack` runs no script of the package. */
async function download(file) {
  const cache = at('.cache', 'onnxruntime')
  const tarball = join(cache, `${pin.package}-${pin.version}.tgz`)
  mkdirSync(cache, { recursive: true })
  if (!existsSync(tarball)) {
    say(`downloading ${pin.package}@${pin.version} (113 MB)`)
    await npm(['pack', `${pin.package}@${pin.version}`, '--ignore-scripts', '--pack-destination', cache], {
      quiet: true,
    })
  }
  const integrity = `sha512-${createHash('sha512').update(readFileSync(tarball)).digest('base64')}`
  if (integrity !== pin.integrity) {
    rmSync(tarball)
    throw new StepError(`${basename(tarball)} has the wrong hash: ${integrity}; it was removed, try again`)
  }
  await run('tar', ['-xzf', tarball, '-C', cache, `package/${file.source}`], { quiet: true })
  const image = readFileSync(join(cache, 'package', file.source))
  rmSync(join(cache, 'package'), { recursive: true })
  if (sha256(image) !== file.sha256) throw new StepError(`${file.source} has the wrong hash`)
  return image
}

const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex')
const hashOf = (path) => (existsSync(path) ? sha256(readFileSync(path)) : undefined)

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const args = process.argv.slice(2)
  main(() => fetchOnnxRuntime({ platform: args.find((arg) => !arg.startsWith('-')), force: args.includes('--force') }))
}
