// At release: writes the library packages of the other platforms beside npm/*-linux-x64, the models for all.
// They are not workspaces, since a foreign `os` stops npm, and not committed. `npm run packages` packs them.
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { fetchLibrary, LIBRARIES, pinOf } from './fetch-library.mjs'
import { at, main, StepError, say } from './step.mjs'

const titles = { darwin: 'macOS', linux: 'Linux', win32: 'Windows' }
const licences = {
  onnxruntime: 'It is by Microsoft Corporation, under the MIT licence.',
  jpeg: 'It is under the IJG licence and the Modified BSD licence: see LICENSE.',
}
/** Fills the packages of these platforms, of all by default. */
export async function writePlatformPackages(wanted) {
  for (const library of LIBRARIES) {
    const { platforms } = pinOf(library)
    for (const platform of wanted ?? Object.keys(platforms)) {
      if (!platforms[platform]) throw new StepError(`scripts/${library}.json has no library for ${platform}`)
      await writePackage(library, platform)
    }
  }
}

async function writePackage(library, platform) {
  await fetchLibrary(library, { platform })
  if (platform === 'linux-x64') return
  const pin = pinOf(library)
  const { output, source, soname } = pin.platforms[platform]
  const model = at('npm', `${library}-linux-x64`)
  const { libc, scripts, ...rest } = JSON.parse(readFileSync(join(model, 'package.json'), 'utf8'))
  const [os, cpu] = platform.split('-')
  const folder = at('npm', `${library}-${platform}`)
  const name = `@subten/${library}-${platform}`
  const what = `${pin.title}'s shared library for subten on ${titles[os]} ${cpu}`
  const own = {
    ...rest,
    name,
    description: what,
    os: [os],
    cpu: [cpu],
    ...(os === 'linux' ? { libc } : {}),
    exports: { ...rest.exports, './lib': `./lib/${output}` },
  }
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(own, null, 2)}\n`)
  for (const file of ['LICENSE', 'ThirdPartyNotices.txt']) {
    if (existsSync(join(model, file))) copyFileSync(join(model, file), join(folder, file))
  }
  const change = soname ? `unchanged but for its SONAME (\`${soname}\`)` : 'unchanged but for its name'
  writeFileSync(
    join(folder, 'README.md'),
    `# ${name}\n\n${what}: \`${source}\` of the npm package \`${pin.package}\`, ${change}.\n${licences[library]}\n`,
  )
  say(`wrote npm/${library}-${platform}`)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const wanted = process.argv.slice(2)
  main(() => writePlatformPackages(wanted.length ? wanted : undefined))
}
