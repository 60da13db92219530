import { resolve } from 'node:path'
import { defineConfig } from 'vitest/config'

// npm run test:packages: the tarballs of build/packages, installed and used.
export default defineConfig({
  root: resolve(import.meta.dirname, '../..'),
  test: {
    include: ['test/packages/**/*.{test,full}.ts'],
    pool: 'forks',
    fileParallelism: false,
    testTimeout: 300_000,
    hookTimeout: 300_000,
  },
})
