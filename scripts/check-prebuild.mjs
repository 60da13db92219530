// Whether the prebuilt addons for Linux are what npm should carry: read from the files, so also those for other processors.
//   node scripts/check-prebuild.mjs [prebuilds/linux-x64/subten.glibc.node …]     all of prebuilds/linux-* by default
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  exportsOf,
  importsOf,
  machineOf,
  neededVersionsOf,
  needsOf,
  searchPathsOf,
  sectionNamesOf,
} from './elf-file.mjs'
import { at, main, root, StepError, say } from './step.mjs'

/** The oldest glibc that the addons load on: that of RHEL 8 and Debian 10, and of Node's own binaries. */
export const BASELINE = '2.28'
const NAPI_VERSION = 8 // as in CMakeLists.txt and package.json
const EXPORTS = ['napi_register_module_v1', 'node_api_module_get_api_version_v1']
const LIBRARIES = /^(lib(c|m|dl|pthread|rt)\.so\.\d|ld-linux[\w-]*\.so\.\d)$/
/** Of libuv: what Node 20 has; its functions are stable within a major version, its structures are not used. */
const UV =
  /^uv_((async|check|idle|poll|prepare)_(init|start|stop|send)|close|ref|unref|handle_(get_data|set_data|size)|metrics_idle_time)$/

/** Where node-gyp-build finds the addon of a target, relative to the root. */
export function prebuildFile(target) {
  return join('prebuilds', target, 'subten.glibc.node')
}

/** What is wrong with an addon for Linux, or another shared object of ours, a line each; empty if it may be shipped. */
export function checkPrebuild(image, { arch, baseline = BASELINE, exported: wanted = EXPORTS }) {
  const problems = []
  const machine = machineOf(image)
  if (machine !== arch) problems.push(`it is for ${machine}, not for ${arch}`)

  for (const { library, version } of neededVersionsOf(image)) {
    const glibc = /^GLIBC_([\d.]+)$/.exec(version)?.[1]
    if (!glibc || isNewer(glibc, baseline)) problems.push(`needs ${version} of ${library}; the baseline is ${baseline}`)
  }
  for (const name of needsOf(image).needed) {
    if (!LIBRARIES.test(name)) problems.push(`needs the library ${name}, which is not part of glibc`)
  }
  for (const path of searchPathsOf(image)) problems.push(`tells the loader to search ${path}`)

  const node = nodeApi()
  for (const { name, weak, version } of importsOf(image)) {
    if (!version && !weak && !node.has(name) && !UV.test(name)) {
      problems.push(`needs ${name}, which is not in Node-API ${NAPI_VERSION}`)
    }
  }
  const exported = exportsOf(image)
  for (const name of exported.filter((each) => !wanted.includes(each))) problems.push(`exports ${name}`)
  for (const name of wanted.filter((each) => !exported.includes(each))) problems.push(`does not export ${name}`)

  const left = sectionNamesOf(image).filter((name) => name === '.symtab' || name.startsWith('.debug_'))
  if (left.length) problems.push(`is not stripped: it has ${left.join(', ')}`)
  const paths = machinePaths(image)
  if (paths.length) problems.push(`names paths of the machine that built it: ${paths.join(', ')}`)
  return problems
}

function nodeApi() {
  const { symbols } = createRequire(import.meta.url)('node-api-headers')
  const { js_native_api_symbols, node_api_symbols } = symbols[`v${NAPI_VERSION}`]
  return new Set([...js_native_api_symbols, ...node_api_symbols])
}

export function isNewer(version, than) {
  const [a, b] = [version, than].map((text) => text.split('.').map(Number))
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    if ((a[i] ?? 0) !== (b[i] ?? 0)) return (a[i] ?? 0) > (b[i] ?? 0)
  }
  return false
}

function machinePaths(image) {
  const text = image.toString('latin1')
  const found = [root, process.env.HOME].filter((path) => path && path !== '/' && text.includes(path))
  return [...new Set([...found, ...(text.match(/\/(home|Users|github\/workspace)\/[\w./-]+/g) ?? [])])]
}

function addons() {
  const folders = existsSync(at('prebuilds')) ? readdirSync(at('prebuilds')) : []
  return folders.filter((name) => name.startsWith('linux-')).map((name) => at(prebuildFile(name)))
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  main(async () => {
    const files = process.argv.length > 2 ? process.argv.slice(2) : addons()
    if (files.length === 0) throw new StepError('there is no prebuilt addon: `npm run prebuilds` makes them')
    let failed = 0
    for (const file of files) {
      if (!existsSync(file)) throw new StepError(`${file} does not exist`)
      const arch = basename(dirname(file)).split('-')[1]
      const image = readFileSync(file)
      const problems = checkPrebuild(image, { arch })
      failed += problems.length
      for (const problem of problems) process.stderr.write(`${file}: ${problem}\n`)
      const newest = neededVersionsOf(image)
        .map(({ version }) => version.replace('GLIBC_', ''))
        .reduce((a, b) => (isNewer(b, a) ? b : a), '0')
      say(`${file}: ${arch}, ${Math.round(statSync(file).size / 1024)} KiB, newest glibc symbol ${newest}`)
    }
    if (failed) throw new StepError(`${failed} problems`)
  })
}
