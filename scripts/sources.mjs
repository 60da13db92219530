// The library's own code for scripts and benchmarks that need what is no public function: bundled from the sources.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { build } from 'esbuild'
import { at } from './step.mjs'

/** One module with everything that these files export, as `src/profile/compare.ts`. */
export async function fromSources(...files) {
  // Right below the root, as dist/ is: what asks where the package lies finds it one folder up.
  const outfile = at('build', `sources-${files.map((file) => basename(file, '.ts')).join('-')}.mjs`)
  const contents = files.map((file) => `export * from './${file}'`).join('\n')
  await build({
    stdin: { contents, resolveDir: at('.'), loader: 'ts' },
    bundle: true,
    platform: 'node',
    format: 'esm',
    packages: 'external',
    plugins: [rawText],
    outfile,
    logLevel: 'warning',
  })
  return import(pathToFileURL(outfile).href)
}

/** `import text from './file?raw'` is the text of the file, as the package's own build has it. */
const rawText = {
  name: 'raw-text',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /\?raw$/ }, ({ path, resolveDir }) => {
      const name = path.slice(0, -'?raw'.length)
      const file = name.startsWith('.') ? join(resolveDir, name) : createRequire(import.meta.url).resolve(name)
      return { path: file, namespace: 'raw-text' }
    })
    onLoad({ filter: /./, namespace: 'raw-text' }, ({ path }) => ({
      contents: readFileSync(path, 'utf8'),
      loader: 'text',
    }))
  },
}
