// Does `--compare` find what is there, and nothing where nothing is? Twenty comparisons of a build with itself, and twenty
// of a build with one that was made 10% slower on purpose: the null engine burns 220 µs of processor time a request
// instead of 200. Each is what `subten bench --compare BUILD` does: both builds in turns, a process a run.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { fromSources } from '../scripts/sources.mjs'
import { at } from '../scripts/step.mjs'
import { isQuick, median } from './measure.mjs'
import { number } from './report.mjs'

const COMPARISONS = isQuick ? 1 : 20
const ROUNDS = isQuick ? 11 : 31
const ARGS = ['--concurrency', '1', '--duration', '0.3', '--warmup', '0.1']
const BUSY_US = 200
const SLOWER_US = 220

export default async function measure() {
  const { compareBuilds } = await fromSources('src/profile/compare.ts')
  const folder = mkdtempSync(join(tmpdir(), 'subten-compare-'))
  try {
    const builds = {
      before: fakeBuild(folder, 'before', BUSY_US),
      same: fakeBuild(folder, 'same', BUSY_US),
      slower: fakeBuild(folder, 'slower', SLOWER_US),
    }
    const found = { same: [], slower: [] }
    for (let i = 0; i < COMPARISONS; i++) {
      // In turns, so that a noisy quarter of an hour meets both.
      for (const kind of ['same', 'slower']) {
        const comparison = await compareBuilds({
          before: builds.before,
          after: builds[kind],
          args: ['MODEL', ...ARGS],
          rounds: ROUNDS,
          seed: 2 * i + (kind === 'same' ? 0 : 1),
        })
        found[kind].push(comparison)
        const real = comparison.differences.filter((difference) => difference.real)
        process.stderr.write(`${kind} ${i + 1}: ${real.map(sentence).join('; ') || 'no difference'}\n`)
      }
    }
    return result(found)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function result(found) {
  const any = ({ differences }, verdicts) => differences.some(({ real, verdict }) => real && verdicts.includes(verdict))
  const slower = (comparison) => any(comparison, ['slower', 'higher'])
  const faster = (comparison) => any(comparison, ['faster', 'lower'])
  const lines = [
    count('10% slower on purpose: called slower', found.slower, (each) => slower(each) && !faster(each)),
    count('the same build twice: no difference reported', found.same, (each) => !slower(each) && !faster(each)),
  ]
  for (const [kind, name] of [
    ['slower', '10% slower'],
    ['same', 'the same'],
  ]) {
    for (const { what } of found[kind][0].differences) {
      const each = found[kind].flatMap(({ differences }) =>
        differences.filter((difference) => difference.what === what),
      )
      const real = each.filter((difference) => difference.real).length
      lines.push(
        `${name}, ${what}: ratio ${spread(each.map(({ ratio }) => ratio.value))}, interval from ×${spread(each.map(({ ratio }) => ratio.low))} to ×${spread(each.map(({ ratio }) => ratio.high))}; real ${real} of ${each.length}`,
      )
    }
  }
  const middle = (kind, what, side) =>
    median(
      found[kind].flatMap(({ differences }) =>
        differences.filter((difference) => difference.what === what).map((difference) => difference[side]),
      ),
    )
  const row = (what, kind, side) => ({
    what,
    p50: middle(kind, 'p50', side),
    p99: middle(kind, 'p99', side),
    rate: middle(kind, 'throughput', side),
  })
  const rows = [
    row(`null engine, ${BUSY_US} µs`, 'slower', 'before'),
    row(`null engine, ${SLOWER_US} µs`, 'slower', 'after'),
    row(`null engine, ${BUSY_US} µs, as the other build`, 'same', 'after'),
  ]
  const notes = [
    `${COMPARISONS} comparisons of each kind in turns; ${ROUNDS} rounds a comparison, a round is a run of each build (${ARGS.join(' ')}) in a process of its own, in the order that a coin says. Found means: at least one figure (throughput, p50, p95, p99, the compute stage, CPU time a request) is at least 5% worse with an interval of 99.9% that excludes 1, and none is better.`,
  ]
  return {
    question: 'Does --compare find a slowdown of 10%, and nothing where there is none?',
    lines,
    rows,
    notes,
    raw: found,
  }
}

function count(what, comparisons, holds) {
  const right = comparisons.filter(holds).length
  const all = comparisons.length
  return `${what}: ${right} of ${all} → ${right === all ? 'PASS' : 'FALLS SHORT'} (${all} of ${all})`
}

const spread = (values) =>
  `${number(median(values))} (${number(Math.min(...values))} to ${number(Math.max(...values))})`
const sentence = ({ what, verdict, ratio }) => `${what} ${verdict} ${number(ratio.value)}×`

/** A folder that looks like a build: its command line is ours, with a model of its own in the place of MODEL. */
function fakeBuild(folder, name, busyUs) {
  const root = join(folder, name)
  const model = join(root, 'echo')
  mkdirSync(join(model, '1'), { recursive: true })
  mkdirSync(join(root, 'dist'))
  const config = readFileSync(at('models', 'echo', 'config.pbtxt'), 'utf8')
  const busy = `parameters { key: "busy_us" value { string_value: "${busyUs}" } }\n`
  writeFileSync(join(model, 'config.pbtxt'), `${config}${busy}`)
  writeFileSync(join(root, 'package.json'), '{ "type": "module" }')
  writeFileSync(
    join(root, 'dist', 'cli.js'),
    `process.argv[process.argv.indexOf('MODEL')] = ${JSON.stringify(model)}\nawait import(${JSON.stringify(pathToFileURL(at('dist', 'cli.js')).href)})\n`,
  )
  return root
}
