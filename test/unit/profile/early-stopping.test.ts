import { describe, expect, it } from 'vitest'
import { discarded, fewestQueries, queriesWithin } from '../../../src/profile/early-stopping.js'

describe('early stopping', () => {
  // From loadgen's own summaries in published MLPerf results: "Processed at least … (n). Would discard … queries".
  it.each([
    [0.9, 2048, 172],
    [0.9, 2116, 178],
    [0.9, 2145, 181],
    [0.9, 7469, 685],
    [0.9, 4_776_846, 476_158],
    [0.99, 1_179_125, 11_539],
    [0.99, 2_091_550, 20_579],
  ])('discards at p%d of %i queries as many as loadgen does: %i', (percentile, queries, expected) => {
    expect(discarded(queries, percentile)).toBe(expected)
  })

  it('needs as many queries as loadgen and its configuration say', () => {
    expect(fewestQueries(0.9)).toBe(64)
    expect(fewestQueries(0.99)).toBe(662)
    expect(discarded(661, 0.99)).toBeUndefined()
    expect(discarded(662, 0.99)).toBe(0)
  })

  it('asks of a server run without a late query for 459, as loadgen does', () => {
    // "Processed 300 queries. Would need to run at least 159 more queries"
    expect(queriesWithin(0, 0.99)).toBe(459)
  })

  it('asks for more, the more were late', () => {
    let last = 0
    for (let over = 0; over < 50; over++) {
      const wanted = queriesWithin(over, 0.99)
      expect(wanted).toBeGreaterThan(last)
      // Never fewer than the percentile itself asks for.
      expect(wanted / (wanted + over)).toBeGreaterThanOrEqual(0.99)
      last = wanted
    }
  })
})
