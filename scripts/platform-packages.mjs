// At release: writes the engine packages of the other platforms beside npm/onnxruntime-linux-x64, the model for all.
// They are not workspaces, since a foreign `os` stops npm, and not committed.
//   node scripts/platform-packages.mjs && for d in npm/onnxruntime-*; do npm publish ./$d; done
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fetchOnnxRuntime } from './fetch-onnxruntime.mjs'
import { at, main, say } from './step.mjs'

const titles = { darwin: 'macOS', linux: 'Linux', win32: 'Windows' }

main(async () => {
  const model = at('npm', 'onnxruntime-linux-x64')
  const manifest = JSON.parse(readFileSync(join(model, 'package.json'), 'utf8'))
  const { platforms } = JSON.parse(readFileSync(at('scripts', 'onnxruntime.json'), 'utf8'))

  for (const [platform, { output, source, soname }] of Object.entries(platforms)) {
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
})
