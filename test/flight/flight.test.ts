import { expect, it } from 'vitest'
import { confusion, inject } from './run.mjs'

// What is right in how many of a hundred is `npm run test:flight`: it needs a machine with time for it.
it('requests that are made slow on purpose are kept, and their causes add up', async () => {
  for (const only of ['blocked', 'queue']) {
    const { cases } = await inject({ count: 2, seed: 1, only })
    expect(cases).toHaveLength(2)
    for (const { first, total = 0, sum = 0, text } of cases) {
      expect(first).not.toBe('not kept')
      expect(sum).toBeCloseTo(total, 3)
      expect(text).toMatch(/ ms: /)
    }
    expect(confusion(cases)).toContain('right')
  }
})
