import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { ADDON, type Installed, ONNXRUNTIME } from './addon-file.js'
import { SubtenError } from './errors.js'

/** The oldest glibc that the published addons load on. */
export const GLIBC_BASELINE = '2.28'

const PUBLISHED = 'Linux x64 and arm64 with glibc'

/** What decides whether a published addon can be loaded. */
export interface PlatformFacts {
  /** `process.platform` and `process.arch`. */
  readonly platform: string
  readonly arch: string
  /** The version of the glibc that runs; undefined where there is none: musl, and other systems than Linux. */
  readonly glibc: string | undefined
}

/** Those of this process. The report takes some milliseconds: only who has failed asks. */
export function platformFacts(): PlatformFacts {
  const report = process.report?.getReport() as { header?: { glibcVersionRuntime?: string } } | undefined
  return { platform: process.platform, arch: process.arch, glibc: report?.header?.glibcVersionRuntime }
}

/**
 * UNSUPPORTED_PLATFORM for an addon that was not found (`path` is '') or does not load: says whether one is published for
 * this platform, and what to do.
 */
export function noAddon(where: Installed, path: string, cause: unknown, facts = platformFacts()): SubtenError {
  const platform = `${facts.platform}-${facts.arch}`
  const refused = refusal(facts)
  return new SubtenError(
    'UNSUPPORTED_PLATFORM',
    `the native addon ${path || `for ${platform}`} cannot be loaded: ${refused ? `${refused.why} (${reason(cause)})` : reason(cause)}`,
    {
      cause,
      remedy: refused ? `${refused.remedy}${buildFromSource(where, facts)}` : remedy(where, path),
      details: { platform: facts.platform, arch: facts.arch, ...(facts.glibc ? { glibc: facts.glibc } : {}) },
    },
  )
}

/** Why none of the published addons is for this platform; undefined where one is. */
function refusal({ platform, arch, glibc }: PlatformFacts): { why: string; remedy: string } | undefined {
  if (platform !== 'linux') {
    const ways: Record<string, string> = {
      win32: ' On Windows: WSL 2 or a container.',
      darwin: ' On macOS: a container.',
    }
    return { why: `subten does not run on ${platform}`, remedy: `Use ${PUBLISHED}.${ways[platform] ?? ''}` }
  }
  if (arch !== 'x64' && arch !== 'arm64') {
    return { why: `none is published for ${arch} processors`, remedy: `Use ${PUBLISHED}.` }
  }
  if (glibc === undefined) {
    const image = 'In containers, use node:24-bookworm-slim, not node:24-alpine.'
    return { why: 'subten does not run on Linux without glibc (musl)', remedy: `Use a Linux with glibc. ${image}` }
  }
  if (isOlder(glibc, GLIBC_BASELINE)) {
    const why = `the published addons need glibc ${GLIBC_BASELINE}, and this system has ${glibc}`
    return { why, remedy: 'Use RHEL 8, Debian 10, Ubuntu 20.04 or a newer distribution.' }
  }
  return undefined
}

function isOlder(version: string, than: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const [wantedMajor = 0, wantedMinor = 0] = than.split('.').map(Number)
  return major < wantedMajor || (major === wantedMajor && minor < wantedMinor)
}

function remedy({ root, bundled }: Installed, path: string): string {
  if (bundled && (root === undefined || path !== '')) {
    return `subten was bundled: mark it as external (esbuild: --external:subten), or copy ${ADDON} and ${ONNXRUNTIME} beside the bundle; \`npx subten doctor\` prints where they are.`
  }
  if (!hasSources(root))
    return `Install subten again with its prebuilt addons, on ${PUBLISHED} ${GLIBC_BASELINE} or newer.`
  return `Build it: \`npm run build\` in a checkout, or ${BUILD} where subten is a dependency.`
}

const SCRIPT = join('node_modules', 'subten', 'scripts', 'build-native.mjs')
const BUILD = `\`npm i --no-save cmake-js node-addon-api node-api-headers && node ${SCRIPT}\``

function buildFromSource({ root }: Installed, { platform, glibc }: PlatformFacts): string {
  if (platform !== 'linux' || glibc === undefined || !hasSources(root)) return ''
  return ` Or build the addon here, with cmake and a C++20 compiler: ${BUILD}.`
}

const hasSources = (root: string | undefined): boolean => root !== undefined && existsSync(join(root, 'native'))

function reason(cause: unknown): string {
  return cause instanceof Error ? (cause.message.split('\n')[0] ?? '') : String(cause)
}
