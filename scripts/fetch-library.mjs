// Fills npm/<package>-<platform>/lib with a library that an npm package of others carries, and gives it a SONAME of our own, so
// that another version of the same library can live beside it in one process (ONNX Runtime's under transformers.js).
//   node scripts/fetch-library.mjs [onnxruntime|jpeg] [platform] [--force]
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { setSoname } from './elf-soname.mjs'
import { npm } from './npm.mjs'
import { at, main, run, StepError, say } from './step.mjs'

/** Version, hashes and files of a library, as scripts/NAME.json has them. */
export const pinOf = (library) => JSON.parse(readFileSync(new URL(`./${library}.json`, import.meta.url), 'utf8'))
/** Libraries that have packages of their own, a package for each platform. */
export const LIBRARIES = ['onnxruntime', 'jpeg']

/** Makes all libraries of one platform unless the right ones are there already. */
export async function fetchLibraries(options) {
  for (const library of LIBRARIES) await fetchLibrary(library, options)
}

/** Makes one library of one platform unless the right one is there already. Returns its path. */
export async function fetchLibrary(library, { platform = `${process.platform}-${process.arch}`, force = false } = {}) {
  const pin = pinOf(library)
  const file = pin.platforms[platform]
  if (!file) {
    say(`no ${pin.title} package for ${platform} (there is one for ${Object.keys(pin.platforms).join(', ')})`)
    return undefined
  }
  const output = at('npm', `${library}-${platform}`, 'lib', file.output)
  if (!force && hashOf(output) === file.result) return output

  say(`preparing ${pin.title} ${pin.libraryVersion} for ${platform}`)
  const image = installed(pin, file) ?? (await download(pin, file, library))
  if (file.soname) setSoname(image, file.soname)
  const result = sha256(image)
  if (result !== file.result)
    throw new StepError(`${file.output} came out as ${result}, not as scripts/${library}.json says`)
  mkdirSync(dirname(output), { recursive: true })
  // Renamed into place: a process that has the old file mapped keeps it whole.
  const fresh = `${output}.${process.pid}`
  writeFileSync(fresh, image, { mode: 0o755 })
  renameSync(fresh, output)
  return output
}

/** The library out of the package that `npm ci` installed, if it is exactly the pinned one. */
function installed(pin, file) {
  const path = at('node_modules', pin.package, file.source)
  return hashOf(path) === file.sha256 ? readFileSync(path) : undefined
}

/** The library out of the pinned tarball. `npm pack` runs no script of the package. */
async function download(pin, file, library) {
  const cache = at('.cache', library)
  const tarball = join(cache, `${pin.package.replace(/^@/, '').replace('/', '-')}-${pin.version}.tgz`)
  mkdirSync(cache, { recursive: true })
  if (!existsSync(tarball)) {
    say(`downloading ${pin.package}@${pin.version} (${pin.megabytes} MB)`)
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
  const [library, platform] = args.filter((arg) => !arg.startsWith('-'))
  const options = { platform, force: args.includes('--force') }
  main(() => {
    if (library === undefined) return fetchLibraries(options)
    if (!LIBRARIES.includes(library)) throw new StepError(`unknown library '${library}': ${LIBRARIES.join(', ')}`)
    return fetchLibrary(library, options)
  })
}
