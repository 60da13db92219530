// Every way to end a process, many times, with requests in flight:
//   node test/exit/exits.mjs [--runs 100] [--jobs 2] [--seed N] [--verbose]
// Prints one line of JSON: runs and failures of each way; the exit code is 0 when all ended as they must.
// `npm run test:node-matrix` runs it on each Node.
import { parseArgs } from 'node:util'
import { random } from '../worker-threads/load.cjs'
import { fits, runOnce, ways, works } from './ways.mjs'

const { values: options } = parseArgs({
  options: {
    runs: { type: 'string', default: '100' },
    jobs: { type: 'string', default: '2' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 32) },
    verbose: { type: 'boolean', default: false },
  },
})
const runs = Number(options.runs)
const seed = Number(options.seed)
const next = random(seed)
const started = Date.now()

/** The runs of one way go through the kinds of work in turn. */
const todo = ways.flatMap((way) => {
  const kinds = works.filter((work) => fits(work, way))
  return Array.from({ length: runs }, (_, i) => ({
    way,
    work: kinds[i % kinds.length],
    delayMs: Math.floor(next() * 25),
  }))
})
const results = new Map(ways.map((way) => [way, { way: way.name, runs: 0, failures: [] }]))

async function job() {
  for (let each = todo.shift(); each; each = todo.shift()) {
    const result = results.get(each.way)
    const wrong = await runOnce(each.work, each.way, each.delayMs)
    result.runs++
    if (options.verbose && result.runs === runs) console.error(`${each.way.name}: ${runs} runs`)
    if (wrong) result.failures.push(`${each.work.name}, after ${each.delayMs} ms: ${wrong}`)
  }
}
await Promise.all(Array.from({ length: Number(options.jobs) }, job))

const all = [...results.values()]
const failures = all.reduce((sum, each) => sum + each.failures.length, 0)
console.log(
  JSON.stringify({ node: process.version, seed, seconds: (Date.now() - started) / 1000, failures, ways: all }),
)
process.exitCode = failures ? 1 : 0
