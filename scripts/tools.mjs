// What must be on the system, how it is found, and the one command that installs what is missing.
import { accessSync, constants, existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { run, StepError, say } from './step.mjs'

const minimumNode = [20, 20]

/** name, how to find it, its Debian package. The finder returns a path or undefined. */
const tools = {
  compiler: { title: 'a C++20 compiler', find: () => which(process.env.CXX, 'c++', 'g++', 'clang++'), apt: 'g++' },
  cmake: { title: 'cmake', find: () => which('cmake'), apt: 'cmake' },
  builder: { title: 'ninja or make', find: () => which('ninja', 'make'), apt: 'ninja-build' },
  gtest: { title: 'GoogleTest', find: findGoogleTest, apt: 'libgtest-dev' },
  clang: { title: 'clang with libFuzzer', find: () => which('clang++', 'clang++-14'), apt: 'clang' },
  chromium: { title: 'Chromium', find: findChromium, apt: 'chromium' },
  'clang-format': { title: 'clang-format', find: () => which('clang-format'), apt: 'clang-format' },
  'clang-tidy': { title: 'clang-tidy', find: () => which('clang-tidy'), apt: 'clang-tidy' },
  spin: { title: 'spin', find: () => which('spin'), apt: 'spin' },
  objcopy: { title: 'llvm-objcopy', find: () => which('llvm-objcopy', 'llvm-objcopy-14'), apt: 'llvm' },
  gcov: { title: 'gcov', find: () => which('gcov'), apt: 'gcc' },
}

export const buildTools = ['compiler', 'cmake', 'builder']
export const testTools = ['gtest', 'chromium', 'clang', 'clang-format', 'clang-tidy', 'spin']

/** The tool's path, or undefined. */
export function find(name) {
  return tools[name].find()
}

/** The first of these commands that is on the PATH, as a full path. */
export function which(...names) {
  for (const name of names.filter(Boolean)) {
    const candidates = name.includes('/')
      ? [name]
      : (process.env.PATH ?? '').split(delimiter).map((dir) => join(dir, name))
    const found = candidates.find(isExecutable)
    if (found) return found
  }
  return undefined
}

/** The command that installs these tools here, as words, or undefined where we know no package manager. */
export function installCommand(names) {
  if (!which('apt-get')) return undefined
  const words = [
    'apt-get',
    'install',
    '-y',
    '--no-install-recommends',
    ...new Set(names.map((name) => tools[name].apt)),
  ]
  return process.getuid?.() === 0 ? words : ['sudo', ...words]
}

/** One sentence: what is missing and the command for it. */
export function explainMissing(names) {
  const what = names.map((name) => tools[name].title).join(', ')
  const command = installCommand(names)
  return command
    ? `missing: ${what}. Install with:\n  ${command.join(' ')}`
    : `missing: ${what}. Install with your system's package manager`
}

/**
 * Checks Node and the tools. What is missing is installed when `install` is set. Missing `required` tools are an error
 * that names the command; missing `optional` ones are returned.
 */
export async function checkTools({ required = [], optional = [], install = false }) {
  checkNode()
  const missing = () => [...required, ...optional].filter((name) => !find(name))
  if (install && missing().length) await installTools(missing())
  const absent = missing()
  if (absent.some((name) => required.includes(name))) {
    throw new StepError(`${explainMissing(absent)}\nor let this script run it: add -- --install`)
  }
  return absent
}

function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number)
  if (major < minimumNode[0] || (major === minimumNode[0] && minor < minimumNode[1])) {
    throw new StepError(`Node ${minimumNode.join('.')} or newer is needed; this is ${process.version}`)
  }
}

async function installTools(names) {
  const command = installCommand(names)
  if (!command) throw new StepError(explainMissing(names))
  say(`installing system tools: ${command.join(' ')}`)
  const update = command.slice(0, command.indexOf('install')).concat('update')
  const env = { DEBIAN_FRONTEND: 'noninteractive' }
  await run(update[0], update.slice(1), { quiet: true, check: false, env })
  await run(command[0], command.slice(1), { quiet: true, env })
}

function findGoogleTest() {
  const places = ['/usr/include', '/usr/local/include', '/opt/homebrew/include']
  const header = places.map((dir) => join(dir, 'gtest', 'gtest.h')).find((file) => existsSync(file))
  if (header || !process.env.CMAKE_PREFIX_PATH) return header
  const roots = process.env.CMAKE_PREFIX_PATH.split(delimiter)
  return roots.map((dir) => join(dir, 'include', 'gtest', 'gtest.h')).find((file) => existsSync(file))
}

function findChromium() {
  if (process.env.SUBTEN_CHROMIUM) return which(process.env.SUBTEN_CHROMIUM)
  return which(
    'chromium',
    'chromium-browser',
    'google-chrome',
    'google-chrome-stable',
    '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  )
}

function isExecutable(file) {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}
