import { cpSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, relative } from 'node:path'
import { defineConfig, type Options } from 'tsup'

// Every output lies flat in dist/, so `..` from any of them is the package root in both formats.
const shared: Options = {
  outDir: 'dist',
  platform: 'node',
  target: 'node20',
  tsconfig: 'tsconfig.build.json',
  sourcemap: true,
  splitting: true, // index, testing and cli share their modules: one SubtenError class per format
  shims: true, // import.meta.url in CommonJS
  clean: false, // scripts/build.mjs empties dist/ once, before all formats
  esbuildPlugins: [rawText()],
}

const library = { index: 'src/index.ts', testing: 'src/testing.ts' }

export default defineConfig([
  {
    ...shared,
    // A worker thread shares no classes with who started it: one format of its file does for both.
    entry: { ...library, cli: 'src/cli/main.ts', 'profile-worker': 'src/profile/worker.ts' },
    format: 'esm',
    shims: false,
    onSuccess: async () => copyPage(),
  },
  { ...shared, entry: library, format: 'cjs', onSuccess: async () => moduleTypes() },
  { ...shared, entry: library, format: 'cjs', dts: { only: true } },
])

/** The page `subten serve` shows is plain HTML, CSS and JavaScript: it is copied as it is. */
function copyPage(): void {
  if (existsSync('src/server/page')) cpSync('src/server/page', 'dist/page', { recursive: true })
}

/**
 * The declarations of ES modules name those of CommonJS: one `interface Models` for both, so that what a program adds to
 * `declare module 'subten'` holds in all its files.
 */
function moduleTypes(): void {
  for (const name of Object.keys(library)) writeFileSync(`dist/${name}.d.ts`, `export * from './${name}.cjs'\n`)
}

/** `import text from './file?raw'` is the file's text, as vitest has it: reports carry their style and script in them. */
function rawText(): NonNullable<Options['esbuildPlugins']>[number] {
  const RAW = '?raw'
  const { resolve } = createRequire(import.meta.url)
  return {
    name: 'raw-text',
    setup(build) {
      // The path keeps its `?raw`: tsup's own plugin would take a path that ends in .css for itself.
      build.onResolve({ filter: /\?raw$/ }, ({ path, resolveDir }) => {
        const name = path.slice(0, -RAW.length)
        const file = name.startsWith('.') ? join(resolveDir, name) : resolve(name)
        // Relative, since esbuild writes it into the bundle and its source map.
        return { path: `${relative(process.cwd(), file)}${RAW}`, namespace: 'raw-text' }
      })
      build.onLoad({ filter: /\?raw$/, namespace: 'raw-text' }, ({ path }) => {
        const file = join(process.cwd(), path.slice(0, -RAW.length))
        return { contents: readFileSync(file, 'utf8'), loader: 'text', watchFiles: [file] }
      })
    },
  }
}
