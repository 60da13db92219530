// At release: writes the engine packages of the other platforms beside npm/onnxruntime-linux-x64, the model for all.
// They are not workspaces, since a foreign `os` stops npm, and not committed. `npm run packages` packs them.
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { fetchOnnxRuntime } from './fetch-onnxruntime.mjs'
import { at, main, StepError, say } from './step.mjs'

const titles = { darwin: 'macOS', linux: 'Linux', win32: 'Windows' }

/** Fills the engine packages of these platforms, of all by default. */
export async function writePlatformPackages(wanted) {
  const model = at('npm', 'onnxruntime-linux-x64')
  const manifest = JSON.parse(readFileSync(join(model, 'package.json'), 'utf8'))
  const { platforms } = JSON.parse(readFileSync(at('scripts', 'onnxruntime.json'), 'utf8'))

  for (const platform of wanted ?? Object.keys(platforms)) {
    if (!platforms[platform]) throw new StepError(`scripts/onnxruntime.json has no library for ${platform}`)
    const { output, source, soname } = platforms[platform]
    await fetchOnnxRuntime({ platform })
    if (platform === 'linux-x64') continue
    const [os, cpu] = platform.split('-')
    const folder = at('npm', `onnxruntime-${platform}`)
    const name = `@subten/onnxruntime-${platform}`
    const title = `${titles[os]} ${cpu}`
    const { libc, scripts, ...rest } = manifest
    const own = {
      ...rest,
      name,
      description: `ONNX Runtime's shared library for subten on ${title}`,
      os: [os],
      cpu: [cpu],
      ...(os === 'linux' ? { libc } : {}),
      exports: { ...manifest.exports, './lib': `./lib/${output}` },
    }
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, 'package.json'), `${JSON.stringify(own, null, 2)}\n`)
    for (const file of ['LICENSE', 'ThirdPartyNotices.txt']) copyFileSync(join(model, file), join(folder, file))
    const change = soname ? `unchanged but for its SONAME (\`${soname}\`)` : 'unchanged but for its name'
    writeFileSync(
      join(folder, 'README.md'),
      `# ${name}\n\nONNX Runtime's shared library for subten on ${title}: \`${source}\` of the npm package ` +
        `\`onnxruntime-node\`, ${change}.\nIt is by Microsoft Corporation, under the MIT licence.\n`,
    )
    say(`wrote npm/onnxruntime-${platform}`)
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const wanted = process.argv.slice(2)
  main(() => writePlatformPackages(wanted.length ? wanted : undefined))
}
