// What every script here shares: the checkout's root, one line per step, running a command, content stamps, one lock.
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = resolve(dirname(fileURLToPath(import.meta.url)), '..')
export const at = (...parts) => join(root, ...parts)

/** A failure that is already explained to the user: printed without a stack. */
export class StepError extends Error {}

export function say(line) {
  process.stdout.write(`subten: ${line}\n`)
}

/** Runs a script's main function and turns a failure into one message and exit code 1. */
export function main(run) {
  run().catch((error) => {
    process.stderr.write(`subten: ${error instanceof StepError ? error.message : error.stack}\n`)
    process.exitCode = 1
  })
}

/**
 * Runs a command in the root. `quiet` keeps its output back unless it fails. Resolves to `{ code, output }`; a failure
 * throws unless `check` is false.
 */
export function run(command, args, { quiet = false, check = true, env = {}, cwd = root } = {}) {
  return new Promise((done, fail) => {
    const child = spawn(command, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: quiet ? ['ignore', 'pipe', 'pipe'] : ['ignore', 'inherit', 'inherit'],
    })
    const output = []
    child.stdout?.on('data', (chunk) => output.push(chunk))
    child.stderr?.on('data', (chunk) => output.push(chunk))
    child.on('error', (error) => fail(new StepError(`could not run ${command}: ${error.message}`)))
    child.on('close', (code, signal) => {
      const text = Buffer.concat(output).toString()
      if (code === 0 || !check) return done({ code: code ?? 1, output: text })
      if (quiet) process.stderr.write(text)
      fail(new StepError(`${[command, ...args].join(' ')} failed (${signal ?? `exit code ${code}`})`))
    })
  })
}

/** Runs a JavaScript tool of node_modules with this very Node: ours, or one further up where subten is a dependency. */
export function runTool(file, args, options) {
  for (let folder = root; ; folder = dirname(folder)) {
    const tool = join(folder, 'node_modules', file)
    if (existsSync(tool)) return run(process.execPath, [tool, ...args], options)
    if (folder === dirname(folder))
      throw new StepError(`the npm package ${packageOf(file)} is missing: install it first`)
  }
}

const packageOf = (file) =>
  file
    .split('/')
    .slice(0, file.startsWith('@') ? 2 : 1)
    .join('/')

/** Every file under the given files and folders, as paths relative to the root, sorted. */
export function filesUnder(paths, keep = () => true) {
  const found = []
  const visit = (path) => {
    if (!existsSync(path)) return
    if (!statSync(path).isDirectory()) {
      const name = relative(root, path)
      if (keep(name)) found.push(name)
      return
    }
    for (const entry of readdirSync(path).sort()) visit(join(path, entry))
  }
  for (const path of paths) visit(at(path))
  return found
}

/** A hash over names and contents, and over whatever else decides the result. */
export function contentHash(files, ...also) {
  const hash = createHash('sha256').update(JSON.stringify(also))
  for (const file of files) hash.update(`\0${file}\0`).update(readFileSync(at(file)))
  return hash.digest('hex')
}

const stampFile = (name) => at('.cache', 'stamps', name)

/** True when `name` was last made from inputs with this hash and every output is still there. */
export function isFresh(name, hash, outputs) {
  return (
    outputs.every((file) => existsSync(at(file))) &&
    existsSync(stampFile(name)) &&
    readFileSync(stampFile(name), 'utf8') === hash
  )
}

export function stamp(name, hash) {
  mkdirSync(dirname(stampFile(name)), { recursive: true })
  writeFileSync(stampFile(name), hash)
}

/**
 * Holds a lock over `work`, a file that names its process: by default the one of builds, so that `npm start` and `npm test`
 * side by side do not build into the same folder. A lock whose owner is gone is taken over.
 */
export async function locked(work, { lock = at('.cache', 'lock'), other = 'another build of this checkout' } = {}) {
  mkdirSync(dirname(lock), { recursive: true })
  for (let waited = false; ; waited = true) {
    try {
      writeFileSync(lock, String(process.pid), { flag: 'wx' })
      break
    } catch (error) {
      if (error.code !== 'EEXIST') throw error
    }
    if (ownerIsGone(lock)) {
      rmSync(lock, { force: true })
      continue
    }
    if (!waited) say(`waiting for ${other}`)
    await new Promise((next) => setTimeout(next, 200))
  }
  const release = () => rmSync(lock, { force: true })
  process.once('exit', release)
  try {
    return await work()
  } finally {
    process.off('exit', release)
    release()
  }
}

function ownerIsGone(lock) {
  try {
    const pid = Number(readFileSync(lock, 'utf8'))
    if (!pid) return Date.now() - statSync(lock).mtimeMs > 1000
    process.kill(pid, 0)
    return false
  } catch (error) {
    return error.code === 'ESRCH' || error.code === 'ENOENT'
  }
}
