// Line coverage of the C++ core under its own tests, from gcov's JSON. Alone: node scripts/native-coverage.mjs
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { buildTests, runTests } from './native-tests.mjs'
import { at, filesUnder, main, root, run, say } from './step.mjs'
import { which } from './tools.mjs'

/** Runs the tests in an instrumented build; returns `{ total: { covered, lines }, files: { path: … } }`. */
export async function nativeCoverage() {
  if (!which('gcov')) return undefined
  const folder = 'build/coverage'
  const binaries = await buildTests(folder, ['-DSUBTEN_COVERAGE=ON', '-DCMAKE_BUILD_TYPE=Release'])
  const data = () => filesUnder([folder], (file) => file.endsWith('.gcda'))
  for (const file of data()) rmSync(at(file))
  await runTests(binaries)
  const lines = new Map()
  for (const file of data()) collect(lines, await gcov(at(file)))
  return summarize(lines)
}

async function gcov(file) {
  const { output } = await run('gcov', ['--json-format', '--stdout', file], { quiet: true })
  return output
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line))
}

/** A line of a header counts once, however many files include it. */
function collect(lines, reports) {
  for (const file of reports.flatMap((report) => report.files)) {
    const path = file.file.startsWith(`${root}/`) ? file.file.slice(root.length + 1) : file.file
    if (!path.startsWith('native/') || path.startsWith('native/test/')) continue
    if (!lines.has(path)) lines.set(path, new Map())
    const counts = lines.get(path)
    for (const { line_number, count } of file.lines)
      counts.set(line_number, Math.max(counts.get(line_number) ?? 0, count))
  }
}

function summarize(lines) {
  const files = {}
  const total = { covered: 0, lines: 0 }
  for (const [path, counts] of [...lines].sort()) {
    const covered = [...counts.values()].filter((count) => count > 0).length
    files[path] = { covered, lines: counts.size }
    total.covered += covered
    total.lines += counts.size
  }
  return { total, files }
}

export const percent = ({ covered, lines }) =>
  `${lines ? ((100 * covered) / lines).toFixed(1) : '0.0'}% (${covered}/${lines} lines)`

export function printNativeCoverage(coverage, { table = false } = {}) {
  if (!coverage) return say('coverage of C++: not measured, gcov is missing')
  mkdirSync(at('coverage'), { recursive: true })
  writeFileSync(at('coverage', 'native.json'), JSON.stringify(coverage, null, 2))
  if (table)
    for (const [path, counts] of Object.entries(coverage.files)) console.log(`  ${path.padEnd(52)} ${percent(counts)}`)
  say(`coverage of C++ (native tests, without native/node): ${percent(coverage.total)}`)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  main(async () => printNativeCoverage(await nativeCoverage(), { table: true }))
}
