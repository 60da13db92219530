import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parseContract } from '../../../src/sla/contract.js'
import { contractSchema } from '../../../src/sla/contract-schema.js'
import { prometheusRules } from '../../../src/sla/rules.js'
import { fewestToConfirm } from '../../../src/sla/share-interval.js'
import { promtool } from './promtool.js'

const page = readFileSync('docs/sla.md', 'utf8')
const blocks = [...page.matchAll(/^```yaml\n(.*?)^```$/gms)].map(([, text]) => text as string)

/** Names of all fields that the schema has anywhere. */
function fields(schema: unknown): string[] {
  if (typeof schema !== 'object' || schema === null) return []
  const { properties } = schema as { properties?: object }
  return [...Object.keys(properties ?? {}), ...Object.values(schema).flatMap(fields)]
}

describe('docs/sla.md', () => {
  it('names every field of the schema', () => {
    const common = ['metadata', 'spec', 'metricSource']
    const missing = [...new Set(fields(contractSchema))].filter(
      (name) => !page.includes(`\`${name}`) && !page.includes(`.${name}\``) && !page.includes(`${name}:`),
    )
    expect(missing.filter((name) => !common.includes(name))).toEqual([])
  })

  it('shows a contract that is valid', () => {
    const contract = blocks.find((text) => text.startsWith('apiVersion'))
    expect(parseContract(contract ?? '', 'docs/sla.md').objectives).toHaveLength(1)
  })

  it('says how many requests without a bad one show a target', () => {
    const counts = [0.99, 0.999, 0.9999].map((target) => fewestToConfirm(target).toLocaleString('en'))
    expect(/It takes ([\d,]+) requests .* 99 %, ([\d,]+) for 99.9 %, ([\d,]+) for/.exec(page)?.slice(1)).toEqual(counts)
  })

  it.skipIf(!promtool)('shows a configuration that promtool takes (skipped where it is absent)', () => {
    const folder = mkdtempSync(join(tmpdir(), 'subten-prometheus-'))
    const contract = parseContract(blocks.find((text) => text.startsWith('apiVersion')) ?? '', 'docs/sla.md')
    writeFileSync(join(folder, 'subten.rules.yml'), prometheusRules(contract))
    writeFileSync(join(folder, 'prometheus.yml'), blocks.find((text) => text.startsWith('global')) ?? '')
    const { status, stdout } = spawnSync(promtool as string, ['check', 'config', 'prometheus.yml'], {
      cwd: folder,
      encoding: 'utf8',
      timeout: 60_000,
    })
    expect(stdout).toMatch(/SUCCESS: 1 rule files found/)
    expect(status).toBe(0)
  })
})
