// THIRD_PARTY_NOTICES.md: what of others is in the published files, and under which licence, from scripts/bundled.json.
//   node scripts/notices.mjs [--fix]     compares, or writes
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { pinOf } from './fetch-library.mjs'
import { at, main, StepError, say } from './step.mjs'

const FILE = 'THIRD_PARTY_NOTICES.md'

/** The parts of scripts/bundled.json with their versions, which come from where they are pinned. */
export function bundledParts() {
  const { packages } = JSON.parse(readFileSync(at('package-lock.json'), 'utf8'))
  const wheels = readFileSync(at('scripts', 'zig-requirements.txt'), 'utf8')
  return JSON.parse(readFileSync(at('scripts', 'bundled.json'), 'utf8')).map((part) => {
    const version = part.npm
      ? packages[`node_modules/${part.npm}`]?.version
      : part.pin
        ? pinOf(part.pin).libraryVersion
        : new RegExp(`^${part.pip}==(\\S+)`, 'm').exec(wheels)?.[1]
    if (!version) throw new StepError(`scripts/bundled.json: ${part.name} is pinned nowhere`)
    return { ...part, version }
  })
}

export function notices() {
  const parts = bundledParts()
  const rows = parts.map(({ name, version, licence, where }) => `| ${name} | ${version} | ${licence} | ${where} |`)
  const texts = parts.map(({ name, text }) => {
    const lines = readFileSync(at(text), 'utf8').trimEnd().split(/\r?\n/)
    return `## ${name}\n\n${lines.map((line) => `    ${line}`.trimEnd()).join('\n')}\n`
  })
  return [
    '# Third-party notices\n',
    'What of others is in the published files. Packages that npm installs beside subten are not listed: they carry their own',
    'licences, and the SBOM of a release names them. Made by `node scripts/notices.mjs --fix`.\n',
    '| part | version | licence | where |',
    '| --- | --- | --- | --- |',
    ...rows,
    '',
    ...texts,
  ].join('\n')
}

/** What differs, a line each. */
export function checkNotices() {
  let there = ''
  try {
    there = readFileSync(at(FILE), 'utf8')
  } catch {
    // compared with nothing
  }
  return there === notices() ? [] : [`${FILE} is not what scripts/bundled.json says: node scripts/notices.mjs --fix`]
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  main(async () => {
    if (process.argv.includes('--fix')) {
      writeFileSync(at(FILE), notices())
      return say(`wrote ${FILE}`)
    }
    const problems = checkNotices()
    if (problems.length) throw new StepError(problems.join('\n'))
  })
}
