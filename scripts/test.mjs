// npm test: installs, builds, runs every test and linter, and ends with one plain line, "N passed, N failed".
//   node scripts/test.mjs [native] [ts] [lint] [model] [--coverage] [--install] [vitest filters and options]
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { relative } from 'node:path'
import { build } from './build.mjs'
import { checkModels } from './check-model.mjs'
import { fuzz } from './fuzz.mjs'
import { lint } from './lint.mjs'
import { nativeCoverage, percent, printNativeCoverage } from './native-coverage.mjs'
import { buildTests, runSanitized, runTests } from './native-tests.mjs'
import { install } from './npm.mjs'
import { at, root, runTool, StepError, say } from './step.mjs'
import { buildTools, checkTools, explainMissing, find, testTools } from './tools.mjs'

const kinds = ['native', 'ts', 'lint', 'model']
const args = process.argv.slice(2)
const chosen = kinds.filter((kind) => args.includes(kind))
const wanted = chosen.length ? chosen : kinds
const coverage = args.includes('--coverage')
const passedOn = args.filter((arg) => !kinds.includes(arg) && arg !== '--coverage' && arg !== '--install')

const totals = { passed: 0, failed: 0, skipped: [] }

async function main() {
  const absent = await checkTools({ required: buildTools, optional: testTools, install: args.includes('--install') })
  await install()
  // The native tests need neither the addon nor TypeScript; the linters read the addon's compile commands.
  const parts = new Set(
    wanted.flatMap(
      (kind) => ({ native: ['engine'], ts: ['native', 'ts', 'engine'], lint: ['native'], model: [] })[kind],
    ),
  )
  if (parts.size) await build([...parts])
  if (wanted.includes('native')) await native()
  // With a name of a suite or a test only that is wanted.
  if (wanted.includes('native') && passedOn.length === 0) await brief()
  if (wanted.includes('ts')) await typescript()
  if (wanted.includes('lint')) await linters()
  if (wanted.includes('model')) await models()
  if (coverage) await measured()
  if (absent.length) say(explainMissing(absent))
}

async function native() {
  if (!find('gtest')) return totals.skipped.push('native: all tests (GoogleTest is missing)')
  say('building the native tests')
  const binaries = await buildTests()
  say('running the native tests')
  add(await runTests(binaries))
}

/**
 * What CI affords of the checks that have long forms of their own, see CONTRIBUTING.md: TSan on the native tests, and a
 * moment of each fuzzer, which is built with ASan and UBSan.
 */
async function brief() {
  if (find('gtest')) {
    say('building and running the native tests under the thread sanitizer')
    const { passed, failed, skipped } = await runSanitized('thread')
    add({ passed, failed, skipped: skipped.map((name) => `${name} (thread sanitizer)`) })
  }
  add(await fuzz(10))
}

async function typescript() {
  say('running the TypeScript tests (vitest)')
  const report = at('.cache', 'reports', 'vitest.json')
  rmSync(report, { force: true })
  const chromium = find('chromium')
  const { code } = await runTool('vitest/vitest.mjs', ['run', ...(coverage ? ['--coverage'] : []), ...passedOn], {
    check: false,
    env: {
      CI: '1',
      ...(process.stdout.isTTY ? {} : { NO_COLOR: '1' }),
      ...(chromium ? { SUBTEN_CHROMIUM: chromium } : {}),
    },
  })
  const counts = existsSync(report)
    ? countVitest(JSON.parse(readFileSync(report, 'utf8')))
    : { passed: 0, failed: 0, skipped: [] }
  // Errors outside of any test (an unhandled rejection, a worker that died) fail the run as well.
  if (code !== 0 && counts.failed === 0) counts.failed = 1
  add(counts)
}

function countVitest(report) {
  const counts = { passed: 0, failed: 0, skipped: [] }
  for (const file of report.testResults) {
    // A file that could not be loaded has no tests to count.
    if (file.status === 'failed' && file.assertionResults.length === 0) counts.failed++
    for (const test of file.assertionResults) {
      if (test.status === 'passed') counts.passed++
      else if (test.status === 'failed') counts.failed++
      else counts.skipped.push(`${relative(root, file.name)}: ${test.fullName}`)
    }
  }
  return counts
}

async function linters() {
  const counts = { passed: 0, failed: 0, skipped: [] }
  for (const { name, code, skipped } of await lint()) {
    if (skipped) counts.skipped.push(name)
    else if (code === 0) counts.passed++
    else counts.failed++
  }
  add(counts)
}

async function models() {
  say('checking the models of the protocols')
  add(await checkModels())
}

async function measured() {
  if (wanted.includes('ts')) {
    const summary = at('coverage', 'typescript', 'coverage-summary.json')
    const lines = existsSync(summary) ? JSON.parse(readFileSync(summary, 'utf8')).total.lines : { covered: 0, total: 0 }
    say(`coverage of TypeScript: ${percent({ covered: lines.covered, lines: lines.total })}`)
  }
  if (wanted.includes('native') && find('gtest')) {
    say('measuring coverage of C++')
    printNativeCoverage(await nativeCoverage())
  }
}

function add({ passed, failed, skipped }) {
  totals.passed += passed
  totals.failed += failed
  totals.skipped.push(...skipped)
}

main()
  .catch((error) => {
    totals.failed++
    process.stderr.write(`subten: ${error instanceof StepError ? error.message : error.stack}\n`)
  })
  .then(() => {
    for (const name of totals.skipped) console.log(`skipped: ${name}`)
    const skipped = totals.skipped.length ? `, ${totals.skipped.length} skipped` : ''
    console.log(`${totals.passed} passed, ${totals.failed} failed${skipped}`)
    process.exitCode = totals.failed ? 1 : 0
  })
