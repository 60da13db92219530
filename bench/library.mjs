// The library's own code for questions that need what is no public function: bundled from the sources.
import { basename } from 'node:path'
import { pathToFileURL } from 'node:url'
import { build } from 'esbuild'
import { at } from '../scripts/step.mjs'

/** The module of a file as `src/profile/compare.ts`. */
export async function fromSources(file) {
  const outfile = at('.cache', 'bench', `${basename(file, '.ts')}.mjs`)
  await build({ entryPoints: [at(file)], outfile, bundle: true, platform: 'node', format: 'esm' })
  return import(pathToFileURL(outfile).href)
}
