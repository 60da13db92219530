// Builds and runs the GoogleTest binaries.
// Alone: node scripts/native-tests.mjs [--sanitize address|thread] [gtest arguments]
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { at, locked, main, run, say } from './step.mjs'
import { which } from './tools.mjs'

/** Configures a build folder with the tests and without the addon; returns the folder. */
export async function configureTests(folder = 'build/tests', options = []) {
  if (existsSync(at(folder, 'compile_commands.json')) && options.length === 0) return folder
  const generator = which('ninja') ? ['-G', 'Ninja'] : []
  const args = ['-S', '.', '-B', folder, '-DSUBTEN_TESTS=ON', '-DSUBTEN_ADDON=OFF', ...generator, ...options]
  await run('cmake', args, { quiet: true })
  return folder
}

/** What a sanitizer is called in CMake, and what its run needs. The library of ONNX Runtime is not instrumented. */
const sanitizers = {
  address: {
    flags: 'address,undefined',
    args: [],
    env: { LSAN_OPTIONS: `suppressions=${at('native', 'test', 'leaks.supp')}:print_suppressions=0` },
  },
  thread: {
    flags: 'thread',
    args: ['--gtest_filter=-OnnxRuntime*:*over_onnx_runtime'],
    env: { TSAN_OPTIONS: 'halt_on_error=1' },
  },
}

/** Builds and runs all native tests under a sanitizer, in a build folder of its own. */
export async function runSanitized(kind, args = []) {
  const sanitizer = sanitizers[kind]
  if (!sanitizer) throw new Error(`--sanitize takes ${Object.keys(sanitizers).join(' or ')}, not ${kind}`)
  const options = [`-DSUBTEN_SANITIZE=${sanitizer.flags}`]
  const binaries = await buildTests(join('build', `sanitize-${kind}`), options)
  return runTests(binaries, [...sanitizer.args, ...args], sanitizer.env)
}

/** Builds the tests; returns the binaries. */
export async function buildTests(folder = 'build/tests', options = []) {
  return locked(async () => {
    await configureTests(folder, options)
    await run('cmake', ['--build', folder, '--parallel', String(availableParallelism())], { quiet: true })
    return ['subten_tests', 'subten_cuda_tests', 'subten_allocation_tests'].map((name) => at(folder, name))
  })
}

/** Runs the binaries and counts from their JSON reports: `{ passed, failed, skipped: names }`. */
export async function runTests(binaries, args = [], env = {}) {
  const total = { passed: 0, failed: 0, skipped: [] }
  for (const binary of binaries) {
    const { passed, failed, skipped } = await runBinary(binary, args, env)
    total.passed += passed
    total.failed += failed
    total.skipped.push(...skipped)
  }
  return total
}

async function runBinary(binary, args, more) {
  const report = at('.cache', 'reports', `${basename(binary)}.json`)
  mkdirSync(at('.cache', 'reports'), { recursive: true })
  rmSync(report, { force: true })
  // Tests of the engine need its library; without it they are reported as skipped.
  const library = at('npm', 'onnxruntime-linux-x64', 'lib', 'libsubten_onnxruntime.so.1')
  const env = { SUBTEN_ONNXRUNTIME_LIB: library, ...process.env, ...more }
  const { code } = await run(binary, ['--gtest_brief=1', `--gtest_output=json:${report}`, ...args], {
    check: false,
    env,
  })
  // A binary that crashed wrote no report.
  const counts = existsSync(report)
    ? countTests(JSON.parse(readFileSync(report, 'utf8')))
    : { passed: 0, failed: 0, skipped: [] }
  if (code !== 0 && counts.failed === 0) counts.failed = 1
  return counts
}

function countTests(report) {
  const counts = { passed: 0, failed: 0, skipped: [] }
  for (const suite of report.testsuites ?? []) {
    for (const test of suite.testsuite) {
      if (test.failures?.length) counts.failed++
      else if (test.result === 'SKIPPED' || test.status === 'NOTRUN')
        counts.skipped.push(`native: ${suite.name}.${test.name}`)
      else counts.passed++
    }
  }
  return counts
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  main(async () => {
    say('building the native tests')
    const args = process.argv.slice(2)
    const asked = args.indexOf('--sanitize')
    const kind = asked < 0 ? undefined : args.splice(asked, 2)[1]
    const { passed, failed, skipped } = kind ? await runSanitized(kind, args) : await runTests(await buildTests(), args)
    say(`native: ${passed} passed, ${failed} failed, ${skipped.length} skipped`)
    if (failed) process.exitCode = 1
  })
}
