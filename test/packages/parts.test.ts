// What is said about the parts of others: the notices, and the SBOM of subten.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { bundledParts, checkNotices } from '../../scripts/notices.mjs'
import { packageSbom } from '../../scripts/sbom.mjs'
import { manifest, root } from '../e2e/consumer.js'

it('THIRD_PARTY_NOTICES.md is what scripts/bundled.json makes', () => {
  expect(checkNotices()).toEqual([])
})

it('every package whose files are bundled into dist is among the parts', () => {
  const maps = readdirSync(join(root, 'dist')).filter((name) => name.endsWith('.map'))
  const sources = maps.flatMap((name): string[] => JSON.parse(readFileSync(join(root, 'dist', name), 'utf8')).sources)
  const names = sources.map((source) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(source)?.[1])
  const bundled = new Set(names.filter((name) => name !== undefined))
  expect(bundled).toContain('uplot')
  const listed = bundledParts().map((part) => part.npm)
  for (const name of bundled) expect(listed).toContain(name)
})

it('the SBOM has every dependency and every linked part, with a licence, and is the same each time', async () => {
  const bom = await packageSbom()
  expect(bom).toMatchObject({ bomFormat: 'CycloneDX', specVersion: '1.5' })
  expect(bom.metadata.component).toMatchObject({ name: 'subten', version: manifest.version })
  const components = new Map(bom.components.map((each) => [each.name, each]))
  for (const [name, version] of Object.entries(manifest.dependencies))
    expect(components.get(name)?.version).toBe(version)
  for (const part of bundledParts().filter(({ library }) => !library)) {
    expect(components.get(part.name)).toMatchObject({ version: part.version, scope: 'required' })
  }
  expect(components.get('sharp')?.scope).toBe('optional')
  expect(components.get('fastify')?.scope).toBe('required')
  for (const name of Object.keys(manifest.devDependencies)) {
    if (!bundledParts().some((part) => part.npm === name)) expect(components.has(name), name).toBe(false)
  }
  for (const { name, licenses } of bom.components) {
    if (!name.startsWith('@subten/')) expect(licenses?.length, name).toBeGreaterThan(0)
  }
  const references = new Set([bom.metadata.component['bom-ref'], ...bom.components.map((each) => each['bom-ref'])])
  for (const { ref, dependsOn = [] } of bom.dependencies) {
    for (const each of [ref, ...dependsOn]) expect(references).toContain(each)
  }
  expect(await packageSbom()).toEqual(bom)
})
