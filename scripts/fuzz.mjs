// Builds the libFuzzer targets under AddressSanitizer and UndefinedBehaviorSanitizer and runs each for a while.
// Then the fuzzers in TypeScript (test/fuzz), which have no coverage to guide them but know the grammar.
//   node scripts/fuzz.mjs [--seconds 60] [names of libFuzzer targets, without those in TypeScript]
// What is found is kept in .cache/fuzz; the committed corpora in native/test/fuzz/corpus are only read.
import { mkdirSync, readdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { at, locked, main, run, runTool, say } from './step.mjs'
import { which } from './tools.mjs'

export const fuzzTargets = ['file', 'jpeg', 'port', 'slab']

const FOLDER = 'build/fuzz'

async function build(compiler) {
  return locked(async () => {
    const generator = which('ninja') ? ['-G', 'Ninja'] : []
    const options = [
      `-DCMAKE_CXX_COMPILER=${compiler}`,
      '-DSUBTEN_FUZZ=ON',
      '-DSUBTEN_ADDON=OFF',
      '-DSUBTEN_SANITIZE=address,undefined',
    ]
    await run('cmake', ['-S', '.', '-B', FOLDER, ...generator, ...options], { quiet: true })
    await run('cmake', ['--build', FOLDER, '--parallel', String(availableParallelism())], { quiet: true })
  })
}

/** Runs each target for so many seconds: `{ passed, failed, skipped: names }`. */
export async function fuzz(seconds, names = fuzzTargets) {
  const compiler = which('clang++', 'clang++-14')
  if (!compiler) return { passed: 0, failed: 0, skipped: names.map((name) => `fuzz: ${name} (clang is missing)`) }
  say('building the fuzzers')
  await build(compiler)
  const counts = { passed: 0, failed: 0, skipped: [] }
  for (const name of names) {
    say(`fuzzing ${name} for ${seconds} s`)
    const found = at('.cache', 'fuzz', name)
    mkdirSync(found, { recursive: true })
    const corpus = at('native', 'test', 'fuzz', 'corpus', name)
    const { code } = await run(
      at(FOLDER, `subten_fuzz_${name}`),
      [
        `-max_total_time=${seconds}`,
        '-timeout=60',
        '-rss_limit_mb=2048',
        '-max_len=4096',
        '-verbosity=0',
        '-print_final_stats=1',
        `-artifact_prefix=${found}/`,
        `${found}`,
        corpus,
      ],
      { check: false, env: { ASAN_OPTIONS: 'detect_leaks=1:quarantine_size_mb=16' } },
    )
    if (code === 0) counts.passed++
    else counts.failed++
    const faults = readdirSync(found).filter((file) => /^(crash|leak|timeout|oom)-/.test(file))
    if (faults.length) say(`inputs that failed: ${faults.map((file) => `${found}/${file}`).join(' ')}`)
  }
  return counts
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  main(async () => {
    const args = process.argv.slice(2)
    const given = args.indexOf('--seconds')
    const seconds = given < 0 ? 60 : Number(args.splice(given, 2)[1])
    const { passed, failed, skipped } = await fuzz(seconds, args.length ? args : fuzzTargets)
    say(`fuzz: ${passed} passed, ${failed} failed, ${skipped.length} skipped`)
    let code = 0
    if (args.length === 0) {
      say(`fuzzing config.pbtxt and KServe bodies for ${seconds} s each`)
      const env = { SUBTEN_FUZZ_SECONDS: String(seconds) }
      code = (await runTool('vitest/vitest.mjs', ['run', 'test/fuzz'], { check: false, env })).code
    }
    if (failed || code) process.exitCode = 1
  })
}
