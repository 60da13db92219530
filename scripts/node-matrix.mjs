// npm run test:node-matrix: worker terminations, process exits and the tests of both, on each supported Node.
//   node scripts/node-matrix.mjs [--nodes 20,22,24,26] [--terminations 1000] [--runs 100] [--jobs 2]
// The Nodes come from npm, pinned in test/node-matrix (Linux x64). Ends with a table and "N passed, N failed".
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { build } from './build.mjs'
import { install, npm } from './npm.mjs'
import { at, main, run, StepError, say } from './step.mjs'

const { values: options } = parseArgs({
  options: {
    nodes: { type: 'string', default: '20,22,24,26' },
    terminations: { type: 'string', default: '1000' },
    runs: { type: 'string', default: '100' },
    jobs: { type: 'string', default: '2' },
  },
})
const folder = at('test', 'node-matrix')
const binary = (major) => at('test', 'node-matrix', 'node_modules', `node-${major}`, 'bin', 'node')
const rows = []

main(async () => {
  await install()
  await build()
  const wanted = options.nodes.split(',')
  if (!wanted.every(hasPinnedVersion)) {
    say('installing the Nodes (npm ci in test/node-matrix)')
    await npm(['ci', '--ignore-scripts', '--no-fund', '--no-audit', '--loglevel=error'], { cwd: folder, quiet: true })
  }
  for (const major of wanted) {
    await terminations(major)
    await exits(major)
    await tests(major)
  }
  print()
  const failed = rows.reduce((sum, row) => sum + row.failures, 0)
  const passed = rows.reduce((sum, row) => sum + row.runs, 0) - failed
  console.log(`${passed} passed, ${failed} failed`)
  if (failed) throw new StepError('the node matrix failed')
})

function hasPinnedVersion(major) {
  const lock = JSON.parse(readFileSync(at('test', 'node-matrix', 'package-lock.json'), 'utf8'))
  const pinned = lock.packages[`node_modules/node-${major}`]
  if (!pinned) throw new StepError(`test/node-matrix/package.json has no Node ${major}`)
  const installed = at('test', 'node-matrix', 'node_modules', `node-${major}`, 'package.json')
  return existsSync(installed) && JSON.parse(readFileSync(installed, 'utf8')).version === pinned.version
}

/** Runs a program that prints one line of JSON; undefined when it printed none. */
async function program(major, args) {
  say(`Node ${major}: ${args.find((arg) => arg.endsWith('js'))}`)
  const { code, output } = await run(binary(major), args, { quiet: true, check: false })
  const line = output.split('\n').findLast((each) => each.startsWith('{'))
  if (code !== 0) process.stderr.write(`${output}\nexit code ${code}\n`)
  return { code, result: line ? JSON.parse(line) : undefined }
}

async function terminations(major) {
  const args = ['--expose-gc', '--no-warnings', 'test/worker-threads/terminations.mjs']
  const { code, result } = await program(major, [...args, '--count', options.terminations])
  const [settled, last] = [result?.footprints[2], result?.footprints.at(-1)]
  rows.push({
    node: result?.node ?? major,
    what: 'worker terminations',
    runs: result?.terminated ?? 1,
    failures: code === 0 ? 0 : Math.max(1, result?.problems.length ?? 1),
    seconds: result?.seconds ?? 0,
    rss: last ? `${settled.rssMb} → ${last.rssMb}` : '',
  })
}

async function exits(major) {
  const { code, result } = await program(major, [
    'test/exit/exits.mjs',
    ...['--runs', options.runs],
    ...['--jobs', options.jobs],
  ])
  if (!result) return rows.push({ node: major, what: 'exits', runs: 1, failures: 1, seconds: 0 })
  for (const way of result.ways) {
    rows.push({ node: result.node, what: way.way, runs: way.runs, failures: way.failures.length, seconds: '' })
  }
  rows.at(-1).seconds = result.seconds
  if (code !== 0) for (const way of result.ways) for (const text of way.failures) console.error(`${way.way}: ${text}`)
}

async function tests(major) {
  say(`Node ${major}: vitest test/worker-threads test/exit test/reported`)
  mkdirSync(at('.cache', 'reports'), { recursive: true })
  const report = at('.cache', 'reports', `node-${major}.json`)
  rmSync(report, { force: true })
  const args = ['run', 'test/worker-threads', 'test/exit', 'test/reported', `--outputFile.json=${report}`]
  const since = Date.now()
  const { code, output } = await run(binary(major), [at('node_modules', 'vitest', 'vitest.mjs'), ...args], {
    quiet: true,
    check: false,
    env: { CI: '1', NO_COLOR: '1' },
  })
  if (code !== 0) process.stderr.write(output)
  const counts = existsSync(report) ? JSON.parse(readFileSync(report, 'utf8')) : undefined
  rows.push({
    node: rows.at(-1).node,
    what: 'tests of both and of reports',
    runs: counts?.numTotalTests ?? 1,
    failures: code === 0 ? 0 : Math.max(1, counts?.numFailedTests ?? 1),
    seconds: (Date.now() - since) / 1000,
  })
}

function print() {
  const head = { node: 'Node', what: 'what', runs: 'runs', failures: 'failures', seconds: 'seconds', rss: 'RSS MiB' }
  const cells = [head, ...rows].map((row) => ({
    ...row,
    seconds: typeof row.seconds === 'number' ? row.seconds.toFixed(0) : row.seconds,
  }))
  const width = (key) => Math.max(...cells.map((row) => String(row[key] ?? '').length))
  const widths = Object.fromEntries(Object.keys(head).map((key) => [key, width(key)]))
  for (const row of cells) {
    console.log(
      Object.keys(head)
        .map((key) => String(row[key] ?? '').padEnd(widths[key]))
        .join('  ')
        .trimEnd(),
    )
  }
}
