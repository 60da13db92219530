// The SBOM of each published package, CycloneDX 1.5: what npm installs with it, and what is bundled into its files.
//   node scripts/sbom.mjs [FOLDER]     into build/packages by default
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { LIBRARIES } from './fetch-library.mjs'
import { bundledParts } from './notices.mjs'
import { npm } from './npm.mjs'
import { at, main } from './step.mjs'

/** What only some users install: see `publicManifest` in packages.mjs. */
const OPTIONAL = /^(sharp|@subten\/.*)@/

/** Writes `subten-VERSION.cdx.json` and one for the library packages of each platform. */
export async function writeSbom(folder, platforms) {
  mkdirSync(folder, { recursive: true })
  const { name, version } = JSON.parse(readFileSync(at('package.json'), 'utf8'))
  const write = (file, bom) => writeFileSync(join(folder, file), `${JSON.stringify(bom, null, 2)}\n`)
  write(`${name}-${version}.cdx.json`, await packageSbom())
  for (const library of LIBRARIES) {
    for (const platform of platforms) {
      write(`subten-${library}-${platform}-${version}.cdx.json`, librarySbom(library, platform, version))
    }
  }
  if (platforms.includes('linux-x64')) {
    write(`subten-tensorrt-linux-x64-${version}.cdx.json`, librarySbom('tensorrt', 'linux-x64', version))
  }
}

/** subten: npm's own list of what is installed without development packages, and the bundled parts. */
export async function packageSbom() {
  // Not --omit=dev: npm then leaves out what a development package needs as well (ajv, yaml).
  const args = ['sbom', '--sbom-format=cyclonedx', '--package-lock-only', '--loglevel=silent']
  const { output } = await npm(args, { quiet: true })
  const bom = JSON.parse(output.slice(output.indexOf('{')))
  const root = bom.metadata.component
  root.name = 'subten' // npm takes the folder's name
  const parts = bundledParts().filter(({ library }) => !library)
  keepInstalled(bom, root['bom-ref'])
  // The same file for the same source: no time and no random number in it.
  delete bom.serialNumber
  delete bom.metadata.timestamp
  bom.components.push(...parts.map(component))
  bom.dependencies.find(({ ref }) => ref === root['bom-ref'])?.dependsOn.push(...parts.map(reference))
  bom.dependencies.push(...parts.map((part) => ({ ref: reference(part), dependsOn: [] })))
  return bom
}

/** Removes what only development needs, and says what is optional. */
function keepInstalled(bom, ref) {
  const { dependencies, optionalDependencies } = JSON.parse(readFileSync(at('package.json'), 'utf8'))
  const direct = Object.entries({ ...dependencies, ...optionalDependencies }).map((entry) => entry.join('@'))
  const edges = new Map(bom.dependencies.map((each) => [each.ref, each.dependsOn ?? []]))
  edges.set(ref, direct)
  const reach = (from) => {
    const found = new Set()
    const visit = (each) => {
      if (found.has(each)) return
      found.add(each)
      for (const next of edges.get(each) ?? []) visit(next)
    }
    for (const each of from) visit(each)
    return found
  }
  const installed = reach(direct)
  const required = reach(direct.filter((each) => !OPTIONAL.test(each)))
  bom.components = bom.components.filter((each) => installed.has(each['bom-ref']))
  for (const each of bom.components) each.scope = required.has(each['bom-ref']) ? 'required' : 'optional'
  bom.dependencies = [{ ref, dependsOn: direct }, ...bom.dependencies.filter((each) => installed.has(each.ref))]
}

/** What the compiler of prebuilt files links into them: what drives TensorRT has nothing else of others. */
const linkedByZig = ({ pip, library }) => pip === 'ziglang' && !library

function librarySbom(library, platform, version) {
  const parts = bundledParts().filter((part) => (library === 'tensorrt' ? linkedByZig(part) : part.library === library))
  const name = `@subten/${library}-${platform}`
  const ref = `${name}@${version}`
  return {
    $schema: 'http://cyclonedx.org/schema/bom-1.5.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.5',
    version: 1,
    metadata: {
      component: { 'bom-ref': ref, type: 'library', name, version, purl: `pkg:npm/${ref.replace('@', '%40')}` },
    },
    components: parts.map(component),
    dependencies: [
      { ref, dependsOn: parts.map(reference) },
      ...parts.map((part) => ({ ref: reference(part), dependsOn: [] })),
    ],
  }
}

const reference = ({ name, version }) => `bundled:${name}@${version}`

function component(part) {
  const { name, version, licence, where, npm: inNpm, pip, pin } = part
  // Three forms of CycloneDX: an identifier of SPDX, an expression of them, any other name.
  const licences = / (WITH|AND) /.test(licence)
    ? [{ expression: licence }]
    : [{ license: licence.includes(' ') ? { name: licence } : { id: licence } }]
  return {
    'bom-ref': reference(part),
    type: 'library',
    name,
    version,
    scope: 'required',
    description: where,
    licenses: licences,
    purl: inNpm ? `pkg:npm/${inNpm}@${version}` : pin ? `pkg:generic/${name}@${version}` : `pkg:pypi/${pip}@${version}`,
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  main(() => writeSbom(resolve(process.argv[2] ?? at('build', 'packages')), ['linux-x64', 'linux-arm64']))
}
