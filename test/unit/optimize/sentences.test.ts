import { describe, expect, it } from 'vitest'
import { verdictOf } from '../../../src/optimize/estimate.js'
import { batchingSentences, firstSentences, quantisationSentences } from '../../../src/optimize/sentences.js'
import type { Gain } from '../../../src/optimize/types.js'

const gain = (value: number, low: number, high: number): Gain => {
  const ratio = { value, low, high }
  return { from: 'a', to: 'b', ratio, verdict: verdictOf(ratio) }
}
const MUCH = gain(2.4, 2.2, 2.6)
const SOME = gain(1.12, 1.05, 1.2)
const NOTHING = gain(1.01, 0.99, 1.03)
const HARMS = gain(0.8, 0.75, 0.86)
const UNDECIDED = gain(1.1, 0.8, 1.5)

describe('what batching buys', () => {
  const costs = { aloneUs: 2000, cpuUs: 1800, peakRssMb: 120 }
  const said = (found: Gain, to = costs) =>
    batchingSentences({
      precision: 'FP32',
      gain: found,
      setting: 'batches of up to 8',
      from: costs,
      to,
      meanBatch: 5.25,
    }).join(' ')

  it('much: by how much, with what, at what cost', () => {
    expect(said(MUCH, { aloneUs: 3000, cpuUs: 900, peakRssMb: 180 })).toBe(
      'At FP32, batching multiplies the capacity by 2.40× [2.20× to 2.60×]: batches of up to 8 (5.3 rows a batch on average at that rate). With it a lone request takes 3 ms instead of 2 ms; a request takes 900 µs of processor time instead of 1.8 ms; peak memory is 180 MB instead of 120 MB.',
    )
  })

  it('a little', () => expect(said(SOME)).toContain('buys a little: 1.12×'))
  it('nothing: it says so', () => expect(said(NOTHING)).toContain('buys almost nothing: 1.01× [0.99× to 1.03×]'))
  it('harms', () => expect(said(HARMS)).toContain('batching harms'))
  it('undecided: what would tell', () => expect(said(UNDECIDED)).toMatch(/undecided.*--repeats/))
  it('costs nothing', () => expect(said(MUCH)).toContain('stay as they are'))
})

describe('what quantisation buys', () => {
  const bytes = { from: 4000, to: 1000 }
  const said = (found: Gain, more: object = {}) =>
    quantisationSentences({ variant: 'net_int8', precision: 'INT8', plain: found, bytes, ...more }).join(' ')

  it('much, with and without batching, and what it costs in accuracy', () => {
    const difference = { value: -0.004, low: -0.007, high: -0.001 }
    expect(said(MUCH, { batched: SOME, difference, rows: 2000 })).toBe(
      'INT8 (net_int8) multiplies the capacity by 2.40× [2.20× to 2.60×] without batching, and 1.12× [1.05× to 1.20×] with the best batching on both sides. In accuracy it costs 0.4 points of top-1 [−0.7 points to −0.1 points] on 2000 held-out rows; its file is 0.25× as large.',
    )
  })

  it('nothing, harms, undecided', () => {
    expect(said(NOTHING)).toContain('buys nothing in capacity')
    expect(said(HARMS)).toContain('is slower')
    expect(said(UNDECIDED)).toContain('may or may not be faster')
  })

  it('refused, or accepted with care', () => {
    expect(said(MUCH, { refused: 'it loses too much' })).toContain('net_int8 is refused: it loses too much.')
    expect(said(MUCH, { caution: 'not surely' })).toContain('Careful: not surely.')
    expect(said(MUCH, { difference: { value: 0, low: -0.01, high: 0.01 } })).toContain(
      'No change of its accuracy can be told from zero',
    )
  })
})

describe('which to take first', () => {
  const int8 = (found: Gain) => ({
    precision: 'INT8',
    gain: found,
    difference: { value: -0.004, low: -0.007, high: -0.001 },
  })
  const said = (parts: Parameters<typeof firstSentences>[0]) => firstSentences(parts).join(' ')

  it('quantisation where it gives more', () => {
    expect(said({ batching: SOME, quantisation: int8(MUCH), both: gain(2.6, 2.4, 2.9) })).toBe(
      'Take INT8 first: it gives 2.40×, where batching gives 1.12×; it costs 0.4 points of top-1. Batching comes on top and changes no answer. Both together give 2.60× [2.40× to 2.90×].',
    )
  })

  it('batching where it gives more', () =>
    expect(said({ batching: MUCH, quantisation: int8(SOME) })).toMatch(/^Take batching first/))
  it('quantisation alone', () =>
    expect(said({ batching: NOTHING, quantisation: int8(MUCH) })).toContain('batching gives almost nothing'))
  it('batching alone', () => expect(said({ batching: MUCH, quantisation: int8(HARMS) })).toContain('leave INT8'))
  it('batching where there is no variant', () => expect(said({ batching: MUCH })).toMatch(/^Take batching/))
  it('neither', () => {
    expect(said({ batching: NOTHING, quantisation: int8(HARMS) })).toMatch(/^Neither pays/)
    expect(said({ batching: NOTHING, quantisation: int8(UNDECIDED) })).toMatch(/^Whether either pays is not certain/)
    expect(said({ batching: HARMS })).toMatch(/^Neither is worth taking/)
  })
  it('nothing of nothing', () => expect(firstSentences({})).toEqual([]))
})
