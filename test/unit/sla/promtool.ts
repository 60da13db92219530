import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { stringify } from 'yaml'

/** Prometheus's checker, or undefined; `npm run promtool:install` brings one. */
export const promtool = [
  process.env.SUBTEN_PROMTOOL ?? '',
  fileURLToPath(new URL('../../../.cache/promtool/promtool', import.meta.url)),
  ...(process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, 'promtool')),
].find((file) => file !== '' && existsSync(file))

export interface Verdict {
  readonly ok: boolean
  readonly output: string
}

export function checkRules(rules: string): Verdict {
  const folder = mkdtempSync(join(tmpdir(), 'subten-rules-'))
  writeFileSync(join(folder, 'rules.yml'), rules)
  return call(folder, ['check', 'rules', 'rules.yml'])
}

/** `promtool test rules`: series over time in, alerts and values out. */
export function testRules(rules: string, tests: readonly object[], every = '1m'): Verdict {
  const folder = mkdtempSync(join(tmpdir(), 'subten-rules-'))
  writeFileSync(join(folder, 'rules.yml'), rules)
  writeFileSync(
    join(folder, 'test.yml'),
    stringify({ rule_files: ['rules.yml'], evaluation_interval: every, tests }, { aliasDuplicateObjects: false }),
  )
  return call(folder, ['test', 'rules', 'test.yml'])
}

function call(cwd: string, args: string[]): Verdict {
  const { status, stdout, stderr } = spawnSync(promtool as string, args, { cwd, encoding: 'utf8', timeout: 120_000 })
  return { ok: status === 0, output: `${stdout}${stderr}` }
}
