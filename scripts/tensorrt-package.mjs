// Fills npm/tensorrt-linux-x64: the shared objects between the addon and TensorRT, for glibc 2.28 and newer, stripped.
import * as fs from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { BASELINE, checkPrebuild } from './check-prebuild.mjs'
import { at, contentHash, isFresh, locked, main, root, run, StepError, say, stamp } from './step.mjs'
import { FLAVOURS, tensorrtSources } from './tensorrt-build.mjs'
import { fetchTensorrtHeaders } from './tensorrt-headers.mjs'
import { find } from './tools.mjs'
import { zigCompiler } from './zig.mjs'

export const TENSORRT_PACKAGE = 'tensorrt-linux-x64'
const EXPORTS = ['subten_tensorrt_plugin']

export async function makeTensorrtPackage() {
  const files = FLAVOURS.map((flavour) => join('npm', TENSORRT_PACKAGE, 'lib', `subten_tensorrt_${flavour}.so`))
  const hash = contentHash([...tensorrtSources(), 'scripts/tensorrt-package.mjs', 'scripts/zig-requirements.txt'])
  if (isFresh('tensorrt-package', hash, files)) return say(`npm/${TENSORRT_PACKAGE} is up to date`)
  const objcopy = find('objcopy')
  if (!objcopy) throw new StepError('llvm-objcopy is needed: apt-get install -y llvm')
  const headers = await fetchTensorrtHeaders()
  say(`building npm/${TENSORRT_PACKAGE}`)
  const { zig, ar, ranlib, env } = await zigCompiler()
  const folder = join('build', 'prebuild', TENSORRT_PACKAGE)
  const settings = {
    CMAKE_BUILD_TYPE: 'Release',
    CMAKE_SYSTEM_NAME: 'Linux',
    CMAKE_SYSTEM_PROCESSOR: 'x86_64',
    CMAKE_CXX_COMPILER: `${zig};c++`,
    CMAKE_CXX_COMPILER_TARGET: `x86_64-linux-gnu.${BASELINE}`,
    CMAKE_AR: ar,
    CMAKE_RANLIB: ranlib,
    CMAKE_CXX_FLAGS: `-ffile-prefix-map=${root}=.`,
    SUBTEN_ADDON: 'OFF',
    SUBTEN_TENSORRT_HEADERS: headers,
  }
  const defined = Object.entries(settings).map(([name, value]) => `-D${name}=${value}`)
  await run('cmake', ['-S', '.', '-B', folder, ...defined], { quiet: true, env })
  await run('cmake', ['--build', folder, '--parallel', '2', '--target', 'subten_tensorrt'], { quiet: true, env })
  fs.mkdirSync(at('npm', TENSORRT_PACKAGE, 'lib'), { recursive: true })
  for (const file of files) {
    const fresh = `${at(file)}.new`
    await run(objcopy, ['--strip-all', at(folder, 'Release', basename(file)), fresh])
    const problems = checkPrebuild(fs.readFileSync(fresh), { arch: 'x64', exported: EXPORTS })
    if (problems.length) throw new StepError(`${file} is not what it should be:\n${problems.join('\n')}`)
    fs.renameSync(fresh, at(file))
    say(`made ${file} (${Math.round(fs.statSync(at(file)).size / 1024)} KiB)`)
  }
  stamp('tensorrt-package', hash)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main(() => locked(makeTensorrtPackage))
