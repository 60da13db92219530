import { resolve } from 'node:path'
import { defineConfig } from 'vitest/config'

// npm run test:neighbours: the short tests of this folder, and those that install other packages (*.full.ts).
export default defineConfig({
  root: resolve(import.meta.dirname, '../..'),
  test: { include: ['test/neighbours/**/*.{test,full}.ts'], pool: 'forks' },
})
