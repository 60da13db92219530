// CMakeLists.txt is the one list of native sources: what it names exists, and no .cc file is left out of it.
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { at, filesUnder, main, StepError, say } from './step.mjs'

export function checkSources() {
  const listed = new Set(readFileSync(at('CMakeLists.txt'), 'utf8').match(/(?<=^\s*)native\/[\w./-]+\.cc$/gm) ?? [])
  const there = new Set(filesUnder(['native'], (file) => file.endsWith('.cc')))
  return [
    ...[...there].filter((file) => !listed.has(file)).map((file) => `${file}:1: not listed in CMakeLists.txt`),
    ...[...listed].filter((file) => !there.has(file)).map((file) => `CMakeLists.txt: ${file} does not exist`),
  ]
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  main(async () => {
    const problems = checkSources()
    for (const problem of problems) process.stderr.write(`${problem}\n`)
    if (problems.length) throw new StepError('CMakeLists.txt and native/ differ')
    say('CMakeLists.txt lists every native source')
  })
}
