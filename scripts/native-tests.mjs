// Builds and runs the GoogleTest binary. Alone: node scripts/native-tests.mjs [gtest arguments]
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { availableParallelism } from 'node:os'
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

/** Builds the tests; returns the binary. */
export async function buildTests(folder = 'build/tests', options = []) {
  return locked(async () => {
    await configureTests(folder, options)
    await run('cmake', ['--build', folder, '--parallel', String(availableParallelism())], { quiet: true })
    return at(folder, 'subten_tests')
  })
}

/** Runs the binary and counts from its JSON report: `{ passed, failed, skipped: names }`. */
export async function runTests(binary, args = []) {
  const report = at('.cache', 'reports', 'gtest.json')
  mkdirSync(at('.cache', 'reports'), { recursive: true })
  rmSync(report, { force: true })
  // Tests of the engine need its library; without it they are reported as skipped.
  const library = at('npm', 'onnxruntime-linux-x64', 'lib', 'libsubten_onnxruntime.so.1')
  const env = { SUBTEN_ONNXRUNTIME_LIB: library, ...process.env }
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
    const { passed, failed, skipped } = await runTests(await buildTests(), process.argv.slice(2))
    say(`native: ${passed} passed, ${failed} failed, ${skipped.length} skipped`)
    if (failed) process.exitCode = 1
  })
}
