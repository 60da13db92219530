// A machine without a compiler, on which somebody installs subten from its tarballs.
import { execFile, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { root } from '../e2e/consumer.js'

/** A folder for the PATH: Node, npm and a shell, and no compiler, make, cmake or Python. */
export function barePath(folder: string): string {
  const bin = join(folder, 'bin')
  mkdirSync(bin)
  const which = (name: string) => spawnSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).stdout.trim()
  symlinkSync(process.execPath, join(bin, 'node'))
  for (const name of ['npm', 'npx', 'sh', 'env', 'tar', 'uname', 'dirname', 'basename', 'readlink', 'sed', 'ls'])
    symlinkSync(which(name), join(bin, name))
  return bin
}

export const compilers = ['cc', 'gcc', 'g++', 'c++', 'clang', 'clang++', 'cmake', 'make', 'ninja', 'python3', 'zig']

/** Runs a command with this PATH only; its failure is an error with what it printed. The event loop goes on. */
export async function command(bin: string, cwd: string, file: string, ...args: string[]): Promise<string> {
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    PATH: bin,
    ONNXRUNTIME_NODE_INSTALL: 'skip',
    npm_config_update_notifier: 'false',
  }
  for (const name of Object.keys(env))
    if (/^(npm_|SUBTEN_|PREBUILD|CC$|CXX$)/i.test(name) && !/registry|cache|userconfig/i.test(name)) delete env[name]
  const { stdout } = await promisify(execFile)(file, args, { cwd, env, maxBuffer: 1 << 26 })
  return stdout
}

export function user(folder: string, npmrc: string, manifest: object): string {
  const home = mkdtempSync(join(folder, 'user-'))
  writeFileSync(join(home, '.npmrc'), npmrc)
  writeFileSync(join(home, 'package.json'), JSON.stringify({ name: 'user', private: true, ...manifest }))
  return home
}

/** Infers with `digits` by `require` and by `import`; prints which files were loaded. */
export const program = `
  const { readFileSync } = require('node:fs')
  const answer = async ({ load }) => {
    const model = await load(${JSON.stringify(join(root, 'models/digits'))})
    const { probabilities } = await model.infer({ image: new Float32Array(64).fill(0.5) })
    await model.close()
    return [...probabilities.data].reduce((sum, value) => sum + value, 0).toFixed(3)
  }
  const mapped = () => [...new Set(readFileSync('/proc/self/maps', 'utf8').match(/\\/\\S*(subten\\S*\\.node|libsubten_\\S*)/g))]
  Promise.all([answer(require('subten')), import('subten').then(answer)]).then(
    (all) => console.log(JSON.stringify({ all, mapped: mapped() })),
    ({ code, message, remedy }) => console.log(JSON.stringify({ code, message, remedy })),
  )`

/** Bytes of the files below a folder, links not followed. */
export function bytesBelow(folder: string): number {
  let sum = 0
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) sum += bytesBelow(path)
    else if (entry.isFile()) sum += statSync(path).size
  }
  return sum
}
