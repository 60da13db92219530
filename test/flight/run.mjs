// npm run test:flight [cases a cause] [seed]: makes requests slow on purpose, in six ways and by random amounts, and
// compares what model.slowRequests() names first with what was done. Right in at least 95 of 100, or it fails.
import { fork } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { cpuGroup } from './cpu-group.mjs'

const BAR = 0.95

/** Runs `count` cases of each cause; `{ cases, skipped }`. */
export async function inject({ count, seed, only, onCase = () => {} }) {
  const group = cpuGroup()
  group?.prefer()
  const settings = JSON.stringify({ seed, count, group: group?.folder, cpus: allowedCpus(), only })
  const script = fileURLToPath(new URL('cases.mjs', import.meta.url))
  const command = [process.execPath, '--expose-gc', script, settings]
  const [program, ...args] = group === undefined ? command : group.enter(command)
  const child = fork(args[0], args.slice(1), { execPath: program, execArgv: [], stdio: ['ignore', 2, 2, 'ipc'] })
  const cases = []
  const skipped = []
  child.on('message', (message) => {
    if (message.skipped !== undefined) skipped.push(message)
    else cases.push(message)
    onCase(message)
  })
  const code = await new Promise((resolve) => child.on('exit', resolve))
  // The last of its processes goes a moment after it.
  for (let tries = 0; group !== undefined && tries < 50; tries++) {
    try {
      group.remove()
      break
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
  if (code !== 0) throw new Error(`the cases ended with exit code ${code}`)
  return { cases, skipped, isolated: group !== undefined }
}

function allowedCpus() {
  const list = /^Cpus_allowed_list:\s*(.*)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0'
  return list.split(',').flatMap((part) => {
    const [from, to = from] = part.split('-').map(Number)
    return Array.from({ length: to - from + 1 }, (_, i) => from + i)
  })
}

/** Rows: what was done; columns: what was named first. */
export function confusion(cases) {
  const expected = [...new Set(cases.map((each) => each.expected))]
  const named = [...new Set([...expected, ...cases.map((each) => each.first)])]
  const width = Math.max(...named.map((name) => name.length)) + 2
  const line = (cells) => cells.map((cell, i) => String(cell).padEnd(i === 0 ? 16 : width)).join('')
  const rows = expected.map((cause) => {
    const own = cases.filter((each) => each.expected === cause)
    const right = own.filter((each) => each.first === cause).length
    const counts = named.map((name) => own.filter((each) => each.first === name).length || '.')
    return line([cause, ...counts, `${right}/${own.length}`])
  })
  return [line(['done \\ named', ...named, 'right']), ...rows].join('\n')
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const count = Number(process.argv[2] ?? 50)
  const seed = Number(process.argv[3] ?? Date.now() % 2 ** 31)
  const only = process.argv[4]
  console.log(`seed ${seed}, ${count} cases a cause`)
  const wrong = []
  const onCase = (each) => {
    if (each.skipped === undefined && each.first !== each.expected) wrong.push(each)
  }
  const { cases, skipped, isolated } = await inject({ count, seed, only, onCase })
  console.log(confusion(cases))
  for (const cause of new Set(cases.map(({ expected }) => expected))) {
    console.log(
      `${cause}, for example: ${cases.find(({ expected, first }) => expected === cause && first === cause)?.text}`,
    )
  }
  for (const { expected, text } of wrong.slice(0, 20)) console.log(`wrong (${expected}): ${text}`)
  for (const { name, skipped: why } of skipped) console.log(`left out: ${name}: ${why}`)
  if (!isolated) console.log('no CPU cgroup can be made here: what else runs on this machine has part in the outcome')
  const off = cases.filter(({ total, sum }) => total !== undefined && Math.abs(total - sum) > 0.001 * total)
  const right = cases.length - wrong.length
  console.log(`right: ${right} of ${cases.length}; causes that do not add up: ${off.length}`)
  if (right < BAR * cases.length || off.length > 0 || cases.length === 0) process.exitCode = 1
}
