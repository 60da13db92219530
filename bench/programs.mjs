// The native programs of the benchmarks (bench/native): built when they are out of date, run, and loaded.
import { execFile } from 'node:child_process'
import { createRequire } from 'node:module'
import { availableParallelism } from 'node:os'
import { promisify } from 'node:util'
import { at, contentHash, filesUnder, isFresh, locked, run, say, stamp } from '../scripts/step.mjs'
import { which } from '../scripts/tools.mjs'

const FOLDER = '.cache/bench/programs'
const NAMES = [
  'floor',
  'open_floor',
  'arrivals',
  'recording',
  'refusal',
  'triton_floor',
  'async_work.node',
  'allocations.node',
]

export const program = (name) => at(FOLDER, name)
export const addon = (name) => createRequire(import.meta.url)(program(`${name}.node`))

/** Builds them all; the first time takes a minute or two, since some of them contain the core. */
export async function buildPrograms() {
  await locked(async () => {
    const sources = filesUnder(
      ['bench/native', 'native', 'CMakeLists.txt', 'package.json'],
      (file) => !file.startsWith('native/test/'),
    )
    const hash = contentHash(sources, process.platform, process.arch)
    const outputs = NAMES.map((name) => `${FOLDER}/${name}`)
    if (isFresh('bench-programs', hash, outputs)) return
    say('building the native programs of the benchmarks')
    const generator = which('ninja') ? ['-G', 'Ninja'] : []
    await run('cmake', ['-S', 'bench/native', '-B', FOLDER, ...generator], { quiet: true })
    await run('cmake', ['--build', FOLDER, '--parallel', String(availableParallelism())], { quiet: true })
    stamp('bench-programs', hash)
  })
}

const execute = promisify(execFile)

/** Runs a program that prints one line of JSON, on the CPUs `cpus` (all by default). */
export async function runProgram(name, args, cpus) {
  const [command, ...words] = pinned(cpus, program(name), args.map(String))
  const { stdout } = await execute(command, words)
  return JSON.parse(stdout)
}

/** The words of a command, on the CPUs `cpus` where they are given. */
export const pinned = (cpus, command, args) =>
  cpus ? ['taskset', '-c', cpus.join(), command, ...args] : [command, ...args]
