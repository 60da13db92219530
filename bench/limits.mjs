// What does waking by `auto` cost where there are few CPUs? The null engine under taskset and in cgroups, against `powersave`.
import { execFileSync } from 'node:child_process'
import { at } from '../scripts/step.mjs'
import { cgroup, onOneProcessor } from '../test/neighbours/limited.mjs'
import { inSubten } from './contenders.mjs'
import { closedLatency, interleave, millis, newHistogram, paired, quantiles, rounds } from './measure.mjs'
import { ratioLine } from './report.mjs'

const COUNT = rounds(15)
const MS = millis(400)
const BAR = { most: 1.3 }

export default async function measure() {
  const question = 'What does waking by auto cost where there are few CPUs?'
  const limits = { 'one CPU (taskset)': onOneProcessor(), 'all CPUs': (command) => command }
  const groups = Object.fromEntries([0.5, 1].map((cpus) => [`cgroup with ${cpus} CPU`, cgroup(cpus)]))
  for (const [name, group] of Object.entries(groups)) limits[name] = group?.limit
  const result = { question, lines: [], rows: [], notes: [], raw: {} }
  for (const [name, limit] of Object.entries(limits)) {
    if (limit === undefined) {
      result.notes.push(`${name}: not measured, this machine does not let us set it.`)
      continue
    }
    const script = `import(${JSON.stringify(import.meta.url)}).then((module) => module.inside())`
    const [program, ...args] = limit([process.execPath, '-e', script])
    const found = JSON.parse(execFileSync(program, args, { cwd: at('.'), encoding: 'utf8', maxBuffer: 2 ** 26 }))
    result.raw[name] = found
    for (const [load, { auto, powersave }] of Object.entries(found)) {
      const title = `${name}, ${load}`
      const ratio = paired(auto.p99s, powersave.p99s)
      result.lines.push(ratioLine({ name: `${title}: p99 of auto / powersave`, ratio, bar: BAR }))
      result.rows.push({ what: `${title}, auto`, ...auto }, { what: `${title}, powersave`, ...powersave })
    }
  }
  for (const group of Object.values(groups)) group?.remove()
  result.notes.push(
    'Paced: one request every 2 ms by a timer. A quota that runs out stops every thread until its period (100 ms) ends.',
  )
  return result
}

/** In a process under a limit: prints the times of both wake modes under each load. */
export async function inside() {
  const models = {}
  for (const wake of ['auto', 'powersave']) models[wake] = await inSubten('echo', { wake })
  const calls = Object.fromEntries(Object.entries(models).map(([wake, { infer }]) => [wake, infer]))
  const loads = {
    '1 in flight': (call) => closedLatency(call, 1, MS),
    '16 in flight': (call) => closedLatency(call, 16, MS),
    paced: (call) => paced(call),
  }
  const found = {}
  for (const [name, load] of Object.entries(loads)) {
    const times = await interleave(calls, COUNT, load)
    found[name] = Object.fromEntries(Object.entries(times).map(([wake, each]) => [wake, quantiles(each)]))
  }
  for (const { close } of Object.values(models)) await close()
  console.log(JSON.stringify(found))
}

async function paced(call) {
  const histogram = newHistogram()
  const end = performance.now() + MS
  while (performance.now() < end) {
    await new Promise((resolve) => setTimeout(resolve, 2))
    const sent = performance.now()
    await call()
    histogram.record(Math.max(1, Math.round((performance.now() - sent) * 1e6)))
  }
  return histogram
}
