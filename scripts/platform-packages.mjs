// At release: writes the library packages of the other platforms beside npm/*-linux-x64, the models for all.
// They are not workspaces, since a foreign `os` stops npm, and not committed.
//   node scripts/platform-packages.mjs && for d in npm/*-*; do npm publish ./$d; done
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fetchLibrary } from './fetch-library.mjs'
import { at, main, say } from './step.mjs'

const titles = { darwin: 'macOS', linux: 'Linux', win32: 'Windows' }
const licences = {
  onnxruntime: 'It is by Microsoft Corporation, under the MIT licence.',
  jpeg: 'It is under the IJG licence and the Modified BSD licence: see LICENSE.',
}

main(async () => {
  for (const library of Object.keys(licences)) await packages(library)
})

async function packages(library) {
  const model = at('npm', `${library}-linux-x64`)
  const manifest = JSON.parse(readFileSync(join(model, 'package.json'), 'utf8'))
  const pin = JSON.parse(readFileSync(at('scripts', `${library}.json`), 'utf8'))

  for (const [platform, { output, source, soname }] of Object.entries(pin.platforms)) {
    await fetchLibrary(library, { platform })
    if (platform === 'linux-x64') continue
    const [os, cpu] = platform.split('-')
    const folder = at('npm', `${library}-${platform}`)
    const name = `@subten/${library}-${platform}`
    const what = `${pin.title}'s shared library for subten on ${titles[os]} ${cpu}`
    const { libc, scripts, ...rest } = manifest
    const own = {
      ...rest,
      name,
      description: what,
      os: [os],
      cpu: [cpu],
      ...(os === 'linux' ? { libc } : {}),
      exports: { ...manifest.exports, './lib': `./lib/${output}` },
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
}
