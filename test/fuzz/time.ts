import type fc from 'fast-check'

/** How long each fuzzer runs: `npm run test:fuzz -- --seconds N`, or a moment within `npm test`. */
const seconds = Number(process.env.SUBTEN_FUZZ_SECONDS ?? 6)

/** For the test around it. */
export const timeoutMs = seconds * 1000 + 120_000

/** As many runs as the time allows; a failure prints its seed and path, and the smallest input that fails. */
export function asLongAsThereIsTime(): fc.Parameters<unknown> {
  return {
    numRuns: Number.MAX_SAFE_INTEGER,
    interruptAfterTimeLimit: seconds * 1000,
    markInterruptAsFailure: false,
    ...(process.env.SUBTEN_FUZZ_SEED ? { seed: Number(process.env.SUBTEN_FUZZ_SEED) } : {}),
  }
}
