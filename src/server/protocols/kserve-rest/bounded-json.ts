import { randomBytes } from 'node:crypto'
import { SubtenError } from '../../../runtime/errors.js'

/**
 * JSON.parse for bodies of strangers: nesting is bounded, and whole numbers too long for a double keep their digits
 * (as {@link LongInteger.text}, read by {@link longInteger}), so that INT64 arrives exactly.
 */
export function parseBoundedJson(bytes: Uint8Array, maxDepth: number): unknown {
  const long = scan(bytes, maxDepth)
  try {
    if (long.length === 0) return JSON.parse(utf8.decode(bytes))
    return JSON.parse(quoteLong(bytes, long))
  } catch (error) {
    const why = error instanceof SyntaxError ? error.message.replace(/".*"|'.*'/s, 'the body') : 'it is not UTF-8'
    throw new SubtenError('INVALID_INPUT', `the body is not JSON: ${why}`, { remedy: 'Send one JSON object.' })
  }
}

// A prefix that no client can guess marks the strings that stand for long numbers.
const MARK = `\u0001${randomBytes(12).toString('hex')}:`
const utf8 = new TextDecoder('utf-8', { fatal: true })

/** The digits of a whole number that a double could not hold, when `value` stands for one. */
export function longInteger(value: unknown): string | undefined {
  return typeof value === 'string' && value.startsWith(MARK) ? value.slice(MARK.length) : undefined
}

const QUOTE = 0x22
const BACKSLASH = 0x5c
const MINUS = 0x2d

/** Checks the nesting, and finds the [start, end) of whole numbers with 16 digits or more. */
function scan(bytes: Uint8Array, maxDepth: number): number[] {
  const long: number[] = []
  let depth = 0
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i] as number
    if (byte === QUOTE) {
      for (i++; i < bytes.length && bytes[i] !== QUOTE; i++) if (bytes[i] === BACKSLASH) i++
    } else if (byte === 0x5b || byte === 0x7b) {
      if (++depth > maxDepth) throw new SubtenError('INVALID_INPUT', `the JSON nests deeper than ${maxDepth} levels`)
    } else if (byte === 0x5d || byte === 0x7d) {
      depth--
    } else if (byte === MINUS || isDigit(byte)) {
      const start = i
      let whole = true
      for (i++; i < bytes.length; i++) {
        const next = bytes[i] as number
        if (isDigit(next)) continue
        if (next !== 0x2e && next !== 0x65 && next !== 0x45 && next !== MINUS && next !== 0x2b) break
        whole = false
      }
      if (whole && i - start >= 16) long.push(start, i)
      i--
    }
  }
  return long
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39
}

function quoteLong(bytes: Uint8Array, long: readonly number[]): string {
  const mark = JSON.stringify(MARK).slice(0, -1)
  const parts: string[] = []
  let from = 0
  for (let i = 0; i < long.length; i += 2) {
    const [start = 0, end = 0] = long.slice(i, i + 2)
    const digits = String.fromCharCode(...bytes.subarray(start, Math.min(end, start + 400)))
    // JSON has no leading zeros; left as it is, JSON.parse refuses it.
    if (end - start > 400 || /^-?0\d/.test(digits)) continue
    parts.push(utf8.decode(bytes.subarray(from, start)), mark, digits, '"')
    from = end
  }
  parts.push(utf8.decode(bytes.subarray(from)))
  return parts.join('')
}
