import { cpSync, existsSync, writeFileSync } from 'node:fs'
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
