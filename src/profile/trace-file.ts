import { readFile } from 'node:fs/promises'
import { SubtenError } from '../runtime/errors.js'

/** How many of a unit are a millisecond; a field's name may end with one, and without it is seconds. */
const UNITS: readonly (readonly [RegExp, number])[] = [
  [/_ns$/, 1e6],
  [/_us$/, 1e3],
  [/_ms$/, 1],
  [/(?:_s)?$/, 1e-3],
]
const FIELD = /^(?:timestamp|time|ts|t)(?:_(?:s|ms|us|ns))?$/i

/**
 * Reads a recorded trace: one request a line, either CSV (a header names the column, or the first column is taken) or
 * JSON Lines (one object a line). The time is a field `timestamp`, `time`, `ts` or `t`: a number of seconds, or with
 * `_ms`, `_us` or `_ns` behind its name of that unit; or a date in ISO 8601. Other fields are passed over. Times may not
 * go back.
 *
 * @returns nanoseconds since the first request
 * @throws CONFIG_INVALID with file and line
 */
export async function readTrace(file: string): Promise<Float64Array> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new SubtenError('CONFIG_INVALID', `the trace ${file} cannot be read: ${why}`, { details: { file } })
  }
  return parseTrace(text, file)
}

export function parseTrace(text: string, file: string): Float64Array {
  const times: number[] = []
  let read: ((line: string, number: number) => number) | undefined
  let first: number | undefined
  let last = 0
  const lines = text.split('\n')
  for (let i = 0; i < lines.length; i++) {
    const line = (lines[i] as string).trim()
    if (line === '' || line.startsWith('#')) continue
    if (!read) {
      read = line.startsWith('{') ? jsonReader(file) : csvReader(line, file, i + 1)
      if (isHeader(line)) continue
    }
    const at = read(line, i + 1)
    first ??= at
    // Only now nanoseconds: those of a date do not fit a double.
    const since = (at - first) * 1e6
    if (since < last) throw bad(file, i + 1, 'its time lies before that of the request above it')
    last = since
    times.push(since)
  }
  if (times.length === 0)
    throw new SubtenError('CONFIG_INVALID', `the trace ${file} has no requests`, { details: { file } })
  return Float64Array.from(times)
}

function isHeader(line: string): boolean {
  return !line.startsWith('{') && cells(line).some((cell) => FIELD.test(cell))
}

function jsonReader(file: string): (line: string, number: number) => number {
  return (line, number) => {
    let value: unknown
    try {
      value = JSON.parse(line)
    } catch {
      throw bad(file, number, 'it is not a JSON object')
    }
    const entries = Object.entries(Object(value) as object)
    const found = entries.find(([name]) => FIELD.test(name))
    if (!found) throw bad(file, number, 'it has no field timestamp, time, ts or t')
    return timeOf(found[1], found[0], file, number)
  }
}

function csvReader(firstLine: string, file: string, at: number): (line: string, number: number) => number {
  const head = isHeader(firstLine) ? cells(firstLine) : undefined
  const column = head ? head.findIndex((cell) => FIELD.test(cell)) : 0
  if (!head && Number.isNaN(Date.parse(cells(firstLine)[0] ?? '')) && !isNumber(cells(firstLine)[0])) {
    throw bad(file, at, `its first column is no time, and no column is named timestamp, time, ts or t`)
  }
  const name = head?.[column] ?? 't'
  return (line, number) => timeOf(cells(line)[column], name, file, number)
}

function cells(line: string): string[] {
  return line.split(/[,;\t]/).map((cell) => cell.trim().replace(/^"(.*)"$/, '$1'))
}

function isNumber(text: unknown): boolean {
  return typeof text === 'string' && text !== '' && Number.isFinite(Number(text))
}

/** Milliseconds. */
function timeOf(value: unknown, field: string, file: string, line: number): number {
  if (typeof value === 'number' || isNumber(value)) {
    const unit = UNITS.find(([end]) => end.test(field.toLowerCase()))?.[1] ?? 1e-3
    const at = Number(value) / unit
    if (Number.isFinite(at)) return at
  }
  const date = typeof value === 'string' ? Date.parse(value) : Number.NaN
  if (Number.isNaN(date)) throw bad(file, line, `${field} is no time: ${JSON.stringify(value) ?? 'nothing'}`)
  return date
}

function bad(file: string, line: number, why: string): SubtenError {
  return new SubtenError('CONFIG_INVALID', `${file}:${line}: ${why}`, {
    details: { file, line },
    remedy: 'Write one request a line, oldest first, as docs/benchmarking.md describes.',
  })
}
