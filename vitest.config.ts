import { defineConfig } from 'vitest/config'

// scripts/test.mjs builds the addon and dist/ first, then runs this with a JSON report to count from.
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    css: true, // else imports of the text of a .css file give '': reports carry theirs
    pool: 'forks',
    testTimeout: 30_000,
    hookTimeout: 30_000,
    reporters: ['default', 'json'],
    outputFile: { json: '.cache/reports/vitest.json' },
    coverage: {
      provider: 'v8',
      include: ['src/**/*.ts'],
      reporter: ['text', 'json-summary', 'html'],
      reportsDirectory: 'coverage/typescript',
      reportOnFailure: true,
    },
  },
})
