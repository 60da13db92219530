// npm run lint: formatters, linters and dependency direction of both languages. npm run format (--fix) rewrites files.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { checkIncludes } from './check-includes.mjs'
import { checkSources } from './check-sources.mjs'
import { configureTests } from './native-tests.mjs'
import { checkNotices } from './notices.mjs'
import { at, contentHash, filesUnder, main, run, runTool, StepError, say } from './step.mjs'
import { explainMissing, find } from './tools.mjs'

const nativeFiles = (ending) => filesUnder(['native'], (file) => ending.test(file))

/** Each check resolves to `{ code, output }`, as a command does, or to `{ skipped: why }`. */
export const checks = {
  biome: () => runTool('@biomejs/biome/bin/biome', ['ci', '--colors=off'], { quiet: true, check: false }),
  tsc: () => runTool('typescript/bin/tsc', ['--noEmit'], { quiet: true, check: false }),
  'dependency-cruiser': () =>
    runTool('dependency-cruiser/bin/dependency-cruise.mjs', ['src', '--config', '.dependency-cruiser.cjs'], {
      quiet: true,
      check: false,
    }),
  'native includes': async () => verdictOf(checkIncludes()),
  'native sources': async () => verdictOf(checkSources()),
  'third-party notices': async () => verdictOf(checkNotices()),
  'clang-format': async () => {
    const tool = find('clang-format')
    if (!tool) return { skipped: explainMissing(['clang-format']) }
    const files = nativeFiles(/\.(h|cc)$/)
    if (!files.length) return { code: 0, output: '' }
    return run(tool, ['--dry-run', '-Werror', ...files], { quiet: true, check: false })
  },
  'clang-tidy': clangTidy,
}

/** The head of a long report: the rest follows from it, or from running the tool alone. */
function clip(output, limit = 200) {
  const lines = output.split('\n')
  if (lines.length <= limit) return output
  return `${lines.slice(0, limit).join('\n')}\n… ${lines.length - limit} more lines\n`
}

function verdictOf(problems) {
  return { code: problems.length ? 1 : 0, output: problems.map((problem) => `${problem}\n`).join('') }
}

/** Runs every check and returns `[{ name, code, output, skipped }]`. */
export async function lint() {
  const results = []
  for (const [name, check] of Object.entries(checks)) {
    const result = await check()
    const verdict = result.skipped ? 'skipped' : result.code === 0 ? 'ok' : 'FAILED'
    say(`lint: ${name} ${verdict}`)
    if (result.code) process.stderr.write(clip(result.output))
    results.push({ name: `lint: ${name}`, ...result })
  }
  return results
}

/** clang-tidy over our .cc files; one that passed is not looked at again until it, a header or the rules change. */
async function clangTidy() {
  const tool = find('clang-tidy')
  if (!tool) return { skipped: explainMissing(['clang-tidy']) }
  const database = await compileCommands()
  if (!database) return { skipped: 'no native build to read compile commands from' }

  const common = contentHash([...nativeFiles(/\.h$/), '.clang-tidy', 'CMakeLists.txt'])
  const passed = at('.cache', 'clang-tidy')
  mkdirSync(passed, { recursive: true })
  const pending = nativeFiles(/\.cc$/)
    .map((file) => ({ file, note: `${passed}/${contentHash([file], common)}`, folder: database(file) }))
    .filter(({ note, folder }) => folder && !existsSync(note))

  let code = 0
  let output = ''
  const worker = async () => {
    for (let next = pending.shift(); next; next = pending.shift()) {
      const result = await run(tool, ['--quiet', '-p', next.folder, next.file], { quiet: true, check: false })
      if (result.code === 0) writeFileSync(next.note, '')
      else {
        code = 1
        output += result.output
      }
    }
  }
  await Promise.all(Array.from({ length: availableParallelism() }, worker))
  return { code, output }
}

/** Which build folder knows how a file is compiled. What includes TensorRT's headers is known where they were fetched. */
async function compileCommands() {
  const tests = find('gtest') ? await configureTests() : undefined
  const addon = existsSync(at('build/native/compile_commands.json')) ? 'build/native' : undefined
  if (!tests && !addon) return undefined
  const tensorrt = existsSync(at('build/tensorrt/compile_commands.json')) ? 'build/tensorrt' : undefined
  return (file) => {
    if (file.startsWith('native/engines/tensorrt/plugin/')) return tensorrt
    return file.startsWith('native/test/') ? tests : (addon ?? tests)
  }
}

async function format() {
  await runTool('@biomejs/biome/bin/biome', ['check', '--write'], { check: false })
  const tool = find('clang-format')
  if (!tool) return say(explainMissing(['clang-format']))
  const files = nativeFiles(/\.(h|cc)$/)
  if (files.length) await run(tool, ['-i', ...files])
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  main(async () => {
    if (process.argv.includes('--fix')) return format()
    const failed = (await lint()).filter((result) => result.code)
    if (failed.length) throw new StepError(`${failed.map((result) => result.name).join(', ')} failed`)
  })
}
