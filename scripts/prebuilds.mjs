// npm run prebuilds: the addon as npm carries it, prebuilds/<platform>-<arch>/subten.<libc>.node, where node-gyp-build looks.
//   node scripts/prebuilds.mjs [linux-x64] [linux-arm64]
// On any Linux, both are made for glibc 2.28 and newer, and stripped; their symbols are in build/symbols, for gdb and perf,
// which know them by their build id.
import * as fs from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { BASELINE, checkPrebuild, prebuildFile } from './check-prebuild.mjs'
import { at, contentHash, filesUnder, isFresh, locked, main, root, run, StepError, say, stamp } from './step.mjs'
import { find } from './tools.mjs'
import { zigCompiler } from './zig.mjs'

const processors = { x64: 'x86_64', arm64: 'aarch64' }
const TARGETS = Object.keys(processors).map((arch) => `linux-${arch}`)
const OBJCOPY_IS_MISSING = 'llvm-objcopy is needed, which strips for every processor: apt-get install -y llvm'

/** Makes the addons of these targets. */
export async function makePrebuilds(targets = TARGETS) {
  if (process.platform !== 'linux') throw new StepError('prebuilt addons are made on Linux')
  for (const target of targets) {
    if (!TARGETS.includes(target)) throw new StepError(`there is no addon for ${target}: ${TARGETS.join(' and ')}`)
  }
  await locked(async () => {
    for (const target of targets) await makePrebuild(target)
  })
}

async function makePrebuild(target) {
  const output = prebuildFile(target)
  const sources = filesUnder(
    ['native', 'CMakeLists.txt', 'scripts/prebuilds.mjs', 'scripts/zig-requirements.txt'],
    (file) => !file.startsWith('native/test/'),
  )
  const { version } = JSON.parse(fs.readFileSync(at('package.json'), 'utf8'))
  const hash = contentHash(sources, target, version)
  if (isFresh(`prebuild-${target}`, hash, [output])) return say(`${output} is up to date`)
  say(`building ${output}`)
  fs.mkdirSync(at(dirname(output)), { recursive: true })
  await crossBuild(target, output)
  for (const name of fs.readdirSync(at(dirname(output)))) {
    if (name !== basename(output)) fs.rmSync(at(dirname(output), name)) // else node-gyp-build might take it
  }
  stamp(`prebuild-${target}`, hash)
}

async function crossBuild(target, output) {
  const objcopy = find('objcopy')
  if (!objcopy) throw new StepError(OBJCOPY_IS_MISSING)
  const [, arch] = target.split('-')
  const processor = processors[arch]
  const { zig, ar, ranlib, env } = await zigCompiler()
  const folder = join('build', 'prebuild', target)
  const settings = {
    CMAKE_BUILD_TYPE: 'Release',
    CMAKE_SYSTEM_NAME: 'Linux',
    CMAKE_SYSTEM_PROCESSOR: processor,
    CMAKE_CXX_COMPILER: `${zig};c++`,
    CMAKE_CXX_COMPILER_TARGET: `${processor}-linux-gnu.${BASELINE}`,
    CMAKE_AR: ar,
    CMAKE_RANLIB: ranlib,
    CMAKE_CXX_FLAGS: `-ffile-prefix-map=${root}=.`,
    CMAKE_MODULE_LINKER_FLAGS: '-Wl,--build-id=sha1',
    SUBTEN_DEBUG_INFO: 'ON',
  }
  const defined = Object.entries(settings).map(([name, value]) => `-D${name}=${value}`)
  await run('cmake', ['-S', '.', '-B', folder, ...generator(), ...defined], { quiet: true, env })
  await run('cmake', ['--build', folder, '--parallel', '2', '--target', 'subten'], { quiet: true, env })

  const whole = at(folder, 'Release', 'subten.node')
  const symbols = at('build', 'symbols', target, 'subten.glibc.node.debug')
  fs.mkdirSync(dirname(symbols), { recursive: true })
  await run(objcopy, ['--only-keep-debug', '--compress-debug-sections', whole, symbols])
  const fresh = `${at(output)}.new`
  await run(objcopy, ['--strip-all', `--add-gnu-debuglink=${symbols}`, whole, fresh])
  const problems = checkPrebuild(fs.readFileSync(fresh), { arch })
  if (problems.length) throw new StepError(`${output} is not what it should be:\n${problems.join('\n')}`)
  fs.renameSync(fresh, at(output)) // a process that has the old file mapped keeps it whole
  say(`made ${output} (${Math.round(fs.statSync(at(output)).size / 1024)} KiB)`)
}

const generator = () => (find('builder')?.endsWith('ninja') ? ['-G', 'Ninja'] : ['-G', 'Unix Makefiles'])

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const targets = process.argv.slice(2)
  main(() => makePrebuilds(targets.length ? targets : undefined))
}
