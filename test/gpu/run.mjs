// npm run test:gpu [text…]: the checks that need a GPU, those whose names contain one of the texts; elsewhere it names what it skips.
import { writeFileSync } from 'node:fs'
import { card, lacks } from './gpu.mjs'

const asked = process.argv.slice(2)
const found = card()
const { checks } = await import('./checks.mjs')
const { tensorrtChecks } = await import('./tensorrt-checks.mjs')
const chosen = [...checks, ...tensorrtChecks].filter(
  ({ name }) => asked.length === 0 || asked.some((text) => name.includes(text)),
)
const results = []
for (const { name, needs, run } of chosen) {
  const reason = found.missing ?? lacks(needs)
  if (reason) {
    results.push({ name, outcome: 'skipped', reason })
    console.log(`skipped  ${name}: ${reason}`)
    continue
  }
  const start = performance.now()
  try {
    const facts = await run()
    const seconds = (performance.now() - start) / 1000
    results.push({ name, outcome: 'passed', seconds, ...facts })
    console.log(`passed   ${name} (${seconds.toFixed(1)} s) ${JSON.stringify(facts)}`)
  } catch (error) {
    results.push({ name, outcome: 'failed', reason: `${error.code ?? error.name}: ${error.message}` })
    console.log(`FAILED   ${name}: ${error.code ?? error.name}: ${error.message}`)
  }
}
const count = (outcome) => results.filter((result) => result.outcome === outcome).length
console.log(`${count('passed')} passed, ${count('failed')} failed, ${count('skipped')} skipped`)
if (process.env.SUBTEN_GPU_RESULTS) {
  writeFileSync(process.env.SUBTEN_GPU_RESULTS, `${JSON.stringify({ card: found, results }, undefined, 1)}\n`)
}
process.exitCode = count('failed') ? 1 : 0
