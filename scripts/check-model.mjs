// npm run test:model: checks the Promela models of the protocols with spin, shows that seeded bugs are found, and that
// code, models and the table in native/test/model/README.md name the same transitions.
//   node scripts/check-model.mjs [--full] [--table] [words of the names of runs]
import { spawn } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { bugs, full, properties } from './model-runs.mjs'
import { at, filesUnder, main, StepError, say } from './step.mjs'
import { explainMissing, find, which } from './tools.mjs'

const folder = 'native/test/model'
const readme = `${folder}/README.md`
/** A run that needs longer or more memory than this has failed: it proved nothing. */
const limitSeconds = 900
const limitMegabytes = 2500

// --- markers ---------------------------------------------------------------------------------------------------------

const marker = /model: ((?:[a-z_]+(?:\.[a-z_]+)+)(?:, [a-z_]+(?:\.[a-z_]+)+)*)/g

/** Where each transition is named: `Map` from name to `['file:line', …]`. */
function markers(files, comment) {
  const found = new Map()
  for (const file of files) {
    readFileSync(at(file), 'utf8')
      .split('\n')
      .forEach((line, index) => {
        if (!line.includes(comment)) return
        for (const [, names] of line.matchAll(marker)) {
          for (const name of names.split(', ')) found.set(name, [...(found.get(name) ?? []), `${file}:${index + 1}`])
        }
      })
  }
  return found
}

function names() {
  const code = markers(
    filesUnder(['native'], (file) => /\.(h|cc)$/.test(file)),
    '// model:',
  )
  const model = markers(
    filesUnder([folder], (file) => file.endsWith('.pml')),
    '/* model:',
  )
  const table = new Map()
  for (const [, name, where, models] of readFileSync(at(readme), 'utf8').matchAll(
    /^\| `([a-z_.]+)` \| `([\w/.]+)`[^|]* \| ([^|]+) \|/gm,
  )) {
    table.set(name, { where: `native/${where}`, models: models.match(/\w+(?=\.pml)|\w+/g) ?? [] })
  }
  return { code, model, table }
}

const fileOf = (place) => place.slice(0, place.lastIndexOf(':'))
const modelOf = (place) => fileOf(place).replace(`${folder}/`, '').replace('.pml', '')

/** What is wrong with the names of transitions; each sentence names the place. */
export function checkNames() {
  const { code, model, table } = names()
  const problems = []
  for (const [name, places] of code) {
    if (places.length > 1) problems.push(`${places.join(' and ')}: ${name} is marked more than once`)
    if (!model.has(name)) problems.push(`${places[0]}: no model has the transition ${name}`)
    if (!table.has(name)) problems.push(`${readme}: the table lacks ${name} (${places[0]})`)
    else if (table.get(name).where !== fileOf(places[0]))
      problems.push(`${readme}: ${name} is in ${fileOf(places[0])}, not in ${table.get(name).where}`)
  }
  for (const [name, places] of model) {
    if (!code.has(name)) problems.push(`${places[0]}: no code is marked ${name}`)
    const listed = table.get(name)?.models ?? []
    for (const file of new Set(places.map(modelOf)))
      if (!listed.includes(file)) problems.push(`${readme}: the row of ${name} lacks ${file}`)
    for (const file of listed)
      if (!places.map(modelOf).includes(file)) problems.push(`${readme}: ${file} does not have ${name}`)
  }
  for (const name of table.keys()) if (!code.has(name)) problems.push(`${readme}: no code is marked ${name}`)
  return problems
}

/** The table with the lines of this moment. */
function printTable() {
  const { code, model } = names()
  for (const [name, places] of [...code].sort()) {
    console.log(
      `${name.padEnd(28)} ${places[0].padEnd(44)} ${(model.get(name) ?? []).map((p) => p.replace(`${folder}/`, '')).join(' ')}`,
    )
  }
}

// --- runs ------------------------------------------------------------------------------------------------------------

function capture(command, args, cwd, seconds = 120) {
  return new Promise((done) => {
    const child = spawn(command, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'], timeout: seconds * 1000 })
    let output = ''
    child.stdout.on('data', (chunk) => (output += chunk))
    child.stderr.on('data', (chunk) => (output += chunk))
    child.on('error', (error) => done({ code: 1, output: error.message }))
    child.on('close', (code, signal) =>
      done({ code: code ?? 1, output: signal ? `${output}\nended by ${signal}` : output }),
    )
  })
}

/** Runs one configuration; resolves to `{ errors, found, states, seconds, complete, output }`. */
async function search({ model, check, defines = [] }) {
  const scratch = mkdtempSync(join(tmpdir(), 'subten-model-'))
  try {
    cpSync(at(folder, `${model}.pml`), join(scratch, 'model.pml'))
    const generated = await capture(find('spin'), [...defines.map((each) => `-D${each}`), '-a', 'model.pml'], scratch)
    if (generated.code || /Error:/.test(generated.output)) return { output: generated.output }
    // Safety: assertions and invalid end states. Else a formula over all weakly fair executions, cycles included.
    const safety = check === 'safety'
    const options = safety ? ['-DSAFETY', '-DNOCLAIM'] : ['-DNFAIR=3']
    const compiler = which(process.env.CC, 'gcc', 'cc', 'clang')
    const built = await capture(
      compiler,
      ['-O2', '-w', ...options, '-DCOLLAPSE', '-DVECTORSZ=2048', `-DMEMLIM=${limitMegabytes}`, '-o', 'pan', 'pan.c'],
      scratch,
    )
    if (built.code) return { output: built.output }
    const started = performance.now()
    const { output } = await capture(
      './pan',
      [...(safety ? [] : ['-a', '-f', '-N', check]), '-m1000000'],
      scratch,
      limitSeconds,
    )
    return {
      errors: Number(/errors: (\d+)/.exec(output)?.[1] ?? Number.NaN),
      found: /^pan:1: (.*)$/m.exec(output)?.[1],
      states: Number(/([\d.e+]+) states, stored/.exec(output)?.[1] ?? Number.NaN),
      seconds: (performance.now() - started) / 1000,
      complete: !/Search not completed|max search depth too small|ended by/.test(output),
      output,
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

const nameOf = ({ model, check, defines = [], bug }) =>
  [model, ...(bug ? [`with ${bug}`] : []), check, ...defines.filter((each) => each !== bug)].join(' ')

/** Whether a run says what it should, and the line that reports it. */
function judge(run, result) {
  const right = run.bug
    ? result.errors >= 1 && result.found !== undefined && result.found.startsWith(run.finds)
    : result.errors === 0 && result.complete
  const size = Number.isNaN(result.states ?? Number.NaN)
    ? ''
    : `, ${Math.round(result.states)} states, ${result.seconds.toFixed(1)} s`
  const said = run.bug
    ? right
      ? `found: ${result.found}`
      : 'NOT FOUND'
    : right
      ? 'holds'
      : `FAILED ${result.found ?? ''}`
  return { right, line: `model: ${nameOf(run)}: ${said}${size}` }
}

/** Runs every check and counts: `{ passed, failed, skipped: names }`. */
export async function checkModels({ everything = false, words = [] } = {}) {
  const counts = { passed: 0, failed: 0, skipped: [] }
  const count = (right) => (right ? counts.passed++ : counts.failed++)
  if (words.length === 0) {
    const problems = checkNames()
    for (const problem of problems) process.stderr.write(`${problem}\n`)
    say(`model: names of the transitions ${problems.length ? 'differ' : 'match'}`)
    count(problems.length === 0)
  }
  if (!find('spin')) {
    counts.skipped.push(`model: all runs (${explainMissing(['spin'])})`)
    return counts
  }
  const runs = [
    ...properties,
    ...(everything ? full : []),
    ...bugs.map((run) => ({ ...run, defines: [...(run.defines ?? []), run.bug] })),
  ]
  const pending = runs.filter((run) => words.every((word) => nameOf(run).includes(word)))
  if (words.length && pending.length === 0) throw new StepError(`no run is named ${words.join(' ')}`)
  const worker = async () => {
    for (let run = pending.shift(); run; run = pending.shift()) {
      const result = await search(run)
      const { right, line } = judge(run, result)
      say(line)
      if (!right) process.stderr.write(`${result.output}\n`)
      count(right)
    }
  }
  await Promise.all(Array.from({ length: Math.min(availableParallelism(), everything ? 1 : 2) }, worker))
  return counts
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  main(async () => {
    const args = process.argv.slice(2)
    if (args.includes('--table')) return printTable()
    const { passed, failed, skipped } = await checkModels({
      everything: args.includes('--full'),
      words: args.filter((arg) => !arg.startsWith('--')),
    })
    for (const name of skipped) say(`skipped: ${name}`)
    say(`model: ${passed} passed, ${failed} failed`)
    if (failed) process.exitCode = 1
  })
}
