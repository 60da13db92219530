// npm run packages: what a release publishes, as tarballs in build/packages, each with its SBOM beside it.
//   node scripts/packages.mjs [platform of the library packages …]     all of RELEASED by default
// subten's own package.json gets the library packages of all released platforms as optional dependencies here; the checkout
// has only those of its workspaces, since a lockfile cannot name what is not published yet.
import * as fs from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from './build.mjs'
import { LIBRARIES } from './fetch-library.mjs'
import { npm } from './npm.mjs'
import { writePlatformPackages } from './platform-packages.mjs'
import { makePrebuilds } from './prebuilds.mjs'
import { writeSbom } from './sbom.mjs'
import { at, locked, main, root, StepError, say } from './step.mjs'
import { makeTensorrtPackage, TENSORRT_PACKAGE } from './tensorrt-package.mjs'

/** Platforms that library packages are published for: those that there is an addon for. */
export const RELEASED = ['linux-x64', 'linux-arm64']

const place = at('build', 'packages')

/** Packs subten and the library packages of these platforms. */
export async function makePackages(platforms = RELEASED) {
  await build(['ts'])
  await makePrebuilds()
  await writePlatformPackages(platforms)
  if (platforms.includes('linux-x64')) await locked(makeTensorrtPackage)
  fs.rmSync(place, { recursive: true, force: true })
  fs.mkdirSync(place, { recursive: true })
  const staged = await stage()
  const libraries = LIBRARIES.flatMap((library) => platforms.map((platform) => at('npm', `${library}-${platform}`)))
  // On request only: no dependency of subten.
  const optional = platforms.includes('linux-x64') ? [at('npm', TENSORRT_PACKAGE)] : []
  for (const folder of [staged, ...libraries, ...optional]) {
    await npm(['pack', folder, '--ignore-scripts', '--pack-destination', place, '--loglevel=error'], { quiet: true })
  }
  fs.rmSync(staged, { recursive: true })
  await writeSbom(place, platforms)
  for (const name of fs.readdirSync(place)) {
    say(`build/packages/${name} (${(fs.statSync(join(place, name)).size / 1e6).toFixed(1)} MB)`)
  }
}

/** A copy of what npm packs of the checkout, with the package.json that users get. */
async function stage() {
  const staged = at('build', 'staged')
  fs.rmSync(staged, { recursive: true, force: true })
  const { output } = await npm(['pack', '--dry-run', '--json', '--ignore-scripts', '--loglevel=error'], { quiet: true })
  const report = JSON.parse(output.slice(output.search(/^[[{]/m)))
  const { files } = Array.isArray(report) ? report[0] : Object.values(report)[0]
  for (const { path } of files) {
    fs.mkdirSync(dirname(join(staged, path)), { recursive: true })
    fs.copyFileSync(at(path), join(staged, path))
    if (/^dist.*\.map$/.test(path)) shortenPaths(join(staged, path))
    else if (fs.readFileSync(join(staged, path)).includes(root)) throw new StepError(`${path} names ${root}`)
  }
  const manifest = JSON.parse(fs.readFileSync(at('package.json'), 'utf8'))
  fs.writeFileSync(join(staged, 'package.json'), `${JSON.stringify(publicManifest(manifest), null, 2)}\n`)
  return staged
}

/** Source maps of the CommonJS files name sources by full paths. */
function shortenPaths(file) {
  const map = JSON.parse(fs.readFileSync(file, 'utf8'))
  map.sources = map.sources.map((source) => source.replace(`${root}/dist/`, '').replace(`${root}/`, '../'))
  fs.writeFileSync(file, JSON.stringify(map))
}

/**
 * What of package.json concerns users: nothing of the workspace, and the libraries of every platform. sharp (20 MB) is for who
 * classifies pictures: an optional peer, which npm does not install by itself and whose absence is a typed error.
 */
export function publicManifest({ workspaces, scripts, devDependencies, overrides, allowScripts, ...manifest }) {
  const { sharp, ...dependencies } = manifest.dependencies
  if (!sharp) throw new StepError('package.json: sharp moved')
  const own = LIBRARIES.map((library) => `@subten/${library}-linux-x64`).sort()
  if (Object.keys(manifest.optionalDependencies).sort().join() !== own.join())
    throw new StepError(`package.json: optionalDependencies are not ${own.join(', ')}`)
  const libraries = LIBRARIES.flatMap((library) =>
    RELEASED.map((platform) => [`@subten/${library}-${platform}`, manifest.version]),
  )
  return {
    ...manifest,
    dependencies,
    optionalDependencies: Object.fromEntries(libraries),
    peerDependencies: { sharp: `^${sharp}` },
    peerDependenciesMeta: { sharp: { optional: true } },
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const platforms = process.argv.slice(2)
  main(() => makePackages(platforms.length ? platforms : undefined))
}
