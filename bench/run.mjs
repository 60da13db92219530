// npm run bench [name…]: runs one file a question, each in a process of its own, and keeps what it found in bench/results/.
import { fork } from 'node:child_process'
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { build } from '../scripts/build.mjs'
import { at, main, StepError, say } from '../scripts/step.mjs'
import { asMarkdown, asText, machine, watchOthers } from './report.mjs'

/** Files that are no question. */
const HELPERS = new Set([
  'run',
  'question',
  'measure',
  'report',
  'contenders',
  'library',
  'arrivals',
  'programs',
  'burst-costs',
  'mean-model',
  'piscina-worker',
  'openvino-process',
  'triton-server',
])
const all = readdirSync(at('bench'))
  .filter((file) => file.endsWith('.mjs'))
  .map((file) => file.slice(0, -4))
  .filter((name) => !HELPERS.has(name))

/** Where other programs use more of the CPUs, a result says so in its first line. */
const QUIET_PERCENT = 10
const notQuiet = (used) =>
  `Not a quiet machine: other programs used ${used} of its CPUs. Measure again before believing this.`

/** The result that a question's process sends. */
function ask(name) {
  return new Promise((resolve, reject) => {
    let result
    const child = fork(at('bench', 'question.mjs'), [name], { cwd: at('.') })
    child.on('message', (message) => {
      result = message
    })
    child.on('error', reject)
    child.on('exit', (code, signal) => {
      if (result && code === 0) resolve({ name, ...result })
      else reject(new StepError(`the benchmark '${name}' ended with ${signal ?? `exit code ${code}`}`))
    })
  })
}

main(async () => {
  const asked = process.argv.slice(2)
  const unknown = asked.find((name) => !all.includes(name))
  if (unknown) throw new StepError(`there is no benchmark '${unknown}'; there are: ${all.join(', ')}`)
  await build()
  const quick = process.env.SUBTEN_BENCH_QUICK === '1'
  const failed = []
  for (const name of asked.length ? asked : all) {
    say(`measuring ${name}`)
    const on = machine()
    try {
      const others = watchOthers()
      const result = await ask(name)
      on.cpuUsedByOthers = others()
      if (Number.parseInt(on.cpuUsedByOthers, 10) > QUIET_PERCENT) result.lines.unshift(notQuiet(on.cpuUsedByOthers))
      process.stdout.write(`\n${asText(result, on)}\n\n`)
      if (quick) continue // too short to be kept
      mkdirSync(at('bench', 'results'), { recursive: true })
      writeFileSync(at('bench', 'results', `${name}.md`), asMarkdown(result, on))
      writeFileSync(at('bench', 'results', `${name}.json`), asJson({ machine: on, ...result }))
    } catch (error) {
      failed.push(name)
      process.stderr.write(`${error.message}\n`)
    }
  }
  if (failed.length) throw new StepError(`without a result: ${failed.join(', ')}`)
})

/** Four significant figures say all there is; a list of numbers is one line. */
function asJson(result) {
  const shorter = (_key, value) =>
    typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(4)) : value
  const text = JSON.stringify(result, shorter, 1)
  return `${text.replace(/\[[-+\d.,e\s]+\]/g, (list) => list.replace(/\s+/g, ' '))}\n`
}
