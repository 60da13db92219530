import { describe, expect, it } from 'vitest'
import { count, figure, moment, percent, stretch, time } from '../../../src/report/quantities.js'

describe('quantities in words', () => {
  it.each([
    [0, '0 µs'],
    [0.4567, '0.457 µs'],
    [8.44, '8.44 µs'],
    [999.4, '999 µs'],
    [999.6, '1 ms'],
    [12_345, '12.3 ms'],
    [999_600, '1 s'],
    [3_600_000_000, '3,600 s'],
    [Number.NaN, '–'],
  ])('%d microseconds are %s', (us, text) => expect(time(us)).toBe(text))

  it.each([
    [0, '0 %'],
    [0.5, '50 %'],
    [0.9886, '98.86 %'],
    [0.99999, '99.999 %'],
    [0.9999999, '99.99999 %'],
    [0.999999999, '> 99.999 %'],
    [1, '100 %'],
    [0.00001, '< 0.01 %'],
    [1.14, '114 %'],
  ])('%d is %s: never rounded to all or nothing', (share, text) => expect(percent(share)).toBe(text))

  it('has three digits that count', () => {
    expect([1234.5, 0.012345, 99.95, 0.00001].map(figure)).toEqual(['1,235', '0.0123', '100', '1.0e-5'])
    expect(count(1_234_567.4)).toBe('1,234,567')
  })

  it('names windows as people do', () => {
    expect([300_000, 3_600_000, 21_600_000, 259_200_000, 28 * 86_400_000, 1500].map(stretch)).toEqual([
      '5 min',
      '1 h',
      '6 h',
      '3 d',
      '28 d',
      '1,500 ms',
    ])
  })

  it('gives moments in UTC, and none of a time that is none', () => {
    expect(moment(Date.UTC(2026, 10, 27, 21, 30))).toBe('27 Nov 2026, 21:30 UTC')
    expect(moment(Number.NaN)).toBe('at an unknown time')
  })
})
