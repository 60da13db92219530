import { describe, expect, it } from 'vitest'
import { parseTrace, readTrace } from '../../../src/profile/trace-file.js'

const seconds = (text: string): number[] => Array.from(parseTrace(text, 'trace'), (ns) => ns / 1e9)

describe('a trace', () => {
  it('is read from CSV by the name of its column and the unit in it', () => {
    expect(seconds('id,timestamp,path\na,10,/x\nb,10.5,/y\n')).toEqual([0, 0.5])
    expect(seconds('timestamp_ms,id\n1000,a\n1250,b\n')).toEqual([0, 0.25])
    expect(seconds('ts_us\n0\n1500000\n')).toEqual([0, 1.5])
  })

  it('is read from CSV without a header by its first column', () => {
    expect(seconds('# seconds\n0.5\n0.75\n\n2\n')).toEqual([0, 0.25, 1.5])
  })

  it('is read from JSON Lines', () => {
    expect(seconds('{"timestamp":1,"n":2}\n{"timestamp":3}\n')).toEqual([0, 2])
    expect(seconds('{"t_ns":5e8}\n{"t_ns":1e9}\n')).toEqual([0, 0.5])
  })

  it('may have dates', () => {
    expect(seconds('{"time":"2026-01-01T00:00:00.000Z"}\n{"time":"2026-01-01T00:00:01.250Z"}\n')).toEqual([0, 1.25])
  })

  it.each([
    ['{"timestamp":1}\n{"at":2}\n', 2, 'no field'],
    ['{"timestamp":1}\n{"timestamp":\n', 2, 'not a JSON object'],
    ['timestamp\n1\n3\n2\n', 4, 'before that of the request above'],
    ['timestamp\n1\nsoon\n', 3, 'no time: "soon"'],
    ['name\nx\n', 1, 'no time'],
  ])('with a mistake is refused with file and line (%#)', (text, line, why) => {
    expect(() => parseTrace(text, 'a.csv')).toThrowError(
      expect.objectContaining({
        code: 'CONFIG_INVALID',
        message: expect.stringMatching(new RegExp(`^a\\.csv:${line}: .*${why}`)),
        details: { file: 'a.csv', line },
      }),
    )
  })

  it('without requests, or not there, is refused with its name', async () => {
    expect(() => parseTrace('timestamp\n', 'empty.csv')).toThrowError(/empty\.csv has no requests/)
    await expect(readTrace('/nowhere/at/all.csv')).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      details: { file: '/nowhere/at/all.csv' },
    })
  })
})
