// The direction of native includes, as the architecture has it:
//   node/ -> executor/ -> schedule/, queue/, flight/, metrics/ -> memory/        engines/<x>/ -> engines/engine.h, engines/common/, memory/, metrics/
//   node/ -> image/, which needs nothing of ours
// Only node/ includes N-API. Every violation is one line: file:line and what it may include.
import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'
import { at, filesUnder, main, StepError, say } from './step.mjs'

const allowed = {
  memory: [],
  queue: ['memory'],
  schedule: ['queue', 'memory'],
  metrics: ['memory'],
  flight: ['memory', 'metrics'],
  image: [],
  executor: ['schedule', 'queue', 'flight', 'memory', 'metrics', 'engines/engine.h'],
  'engines/engine.h': ['memory', 'metrics'],
  'engines/common': [],
  'engines/registry': ['engines', 'memory'],
  triton_backend: ['engines/engine.h', 'engines/common', 'engines/onnxruntime', 'memory', 'metrics'],
  node: ['executor', 'image', 'schedule', 'queue', 'flight', 'memory', 'metrics', 'engines'],
  test: ['executor', 'image', 'schedule', 'queue', 'flight', 'memory', 'metrics', 'engines', 'triton_backend'],
}
const engineAllowed = ['engines/engine.h', 'engines/common', 'engines/cuda', 'memory', 'metrics']
const nodeHeaders = /^(napi(-inl)?(\.deprecated)?|node_api(_types)?|js_native_api(_types)?|node|v8|uv)\.h$/

/** All violations of one file, as `file:line: sentence`. */
export function checkFile(path, text) {
  const unit = unitOf(path)
  const own = unit.startsWith('engines/registry') ? 'engines' : unit
  const may = unit in allowed ? allowed[unit] : unit.startsWith('engines/') ? engineAllowed : undefined
  if (!may)
    return [
      `${path}:1: native/${unit} is a folder this check does not know: give it its place in ${basename(import.meta.url)}`,
    ]

  const problems = []
  for (const [index, line] of text.split('\n').entries()) {
    const header = /^\s*#\s*include\s*[<"]([^>"]+)[>"]/.exec(line)?.[1]
    if (!header) continue
    if (nodeHeaders.test(basename(header)) && !header.includes('/')) {
      if (unit !== 'node') problems.push(`${path}:${index + 1}: <${header}> belongs to native/node only`)
      continue
    }
    if (header.startsWith('.')) {
      problems.push(`${path}:${index + 1}: "${header}" is relative: write the path from native/`)
      continue
    }
    if (!/^(memory|queue|schedule|metrics|flight|image|executor|engines|triton_backend|node|test)\//.test(header))
      continue
    const fits = [own, ...may].some((target) => header === target || header.startsWith(`${target}/`))
    if (!fits)
      problems.push(
        `${path}:${index + 1}: native/${unit} must not include "${header}" (it may include ${may.join(', ') || 'nothing else'})`,
      )
  }
  return problems
}

/** The unit a file belongs to: its folder, or for engines the engine's folder, engine.h or the registry. */
function unitOf(path) {
  const [folder, second] = path.replace(/^native\//, '').split('/')
  if (folder !== 'engines') return folder
  return second.startsWith('registry.') ? 'engines/registry' : `engines/${second}`
}

export function checkIncludes() {
  const files = filesUnder(['native'], (file) => /\.(h|cc)$/.test(file))
  return files.flatMap((file) => checkFile(file, readFileSync(at(file), 'utf8')))
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  main(async () => {
    const problems = checkIncludes()
    for (const problem of problems) process.stderr.write(`${problem}\n`)
    if (problems.length) throw new StepError(`${problems.length} includes against the dependency direction`)
    say('native includes follow the dependency direction')
  })
}
