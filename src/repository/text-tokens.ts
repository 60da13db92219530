/** What stands at one place of a text format file. */
export interface Token {
  readonly kind: 'word' | 'number' | 'string' | 'mark' | 'end'
  /** The text itself; for a string, its content with the escapes resolved as far as map keys need. */
  readonly text: string
  /** 1-based. */
  readonly line: number
  /** 1-based, in UTF-16 units. */
  readonly column: number
  /** Where it begins and ends in the text, in UTF-16 units. */
  readonly start: number
  readonly end: number
}

/** Thrown by {@link tokenize}: a character or literal that is no token. */
export class TokenError extends Error {
  constructor(
    message: string,
    readonly line: number,
    readonly column: number,
  ) {
    super(message)
  }
}

const SPACE = /[ \t\r\n\v\f]+|#[^\n]*/y
const WORD = /[A-Za-z_]\w*/y
const NUMBER = /(?:0[xX][0-9A-Fa-f]+|\d+\.?\d*(?:[eE][+-]?\d+)?[fF]?|\.\d+(?:[eE][+-]?\d+)?[fF]?)/y
const STRING = /"(?:[^"\\\n]|\\[^\n])*"|'(?:[^'\\\n]|\\[^\n])*'/y
const MARKS = '{}<>:[],;-'
const ESCAPES: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', '"': '"', "'": "'", '\\': '\\' }

/**
 * Splits protobuf text format into tokens with their places. Only as exact as finding places needs: the values
 * themselves are read by protobuf.js. Linear in the length of the text.
 */
export function* tokenize(text: string): Generator<Token, never> {
  let position = 0
  let line = 1
  let lineStart = 0
  const match = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = position
    return pattern.exec(text)?.[0]
  }
  for (;;) {
    for (let space = match(SPACE); space !== undefined; space = match(SPACE)) {
      for (let at = space.indexOf('\n'); at >= 0; at = space.indexOf('\n', at + 1)) {
        line++
        lineStart = position + at + 1
      }
      position += space.length
    }
    const column = position - lineStart + 1
    if (position >= text.length) {
      for (;;) yield { kind: 'end', text: 'the end of the file', line, column, start: position, end: position }
    }
    const character = text.charAt(position)
    let kind: Token['kind']
    let raw: string | undefined
    if (character === '"' || character === "'") {
      kind = 'string'
      raw = match(STRING)
      if (raw === undefined) throw new TokenError('this string is not closed on its line', line, column)
    } else {
      kind = 'word'
      raw = match(WORD)
      if (raw === undefined) {
        kind = 'number'
        raw = match(NUMBER)
      }
      if (raw === undefined) {
        kind = 'mark'
        raw = MARKS.includes(character) ? character : undefined
      }
      if (raw === undefined) throw new TokenError(`unexpected character ${JSON.stringify(character)}`, line, column)
    }
    position += raw.length
    if (kind === 'number' && /[\w.]/.test(text.charAt(position))) {
      throw new TokenError(`"${raw}${text.charAt(position)}" is not a number`, line, column)
    }
    const place = { line, column, start: position - raw.length, end: position }
    yield { kind, text: kind === 'string' ? unquote(raw) : raw, ...place }
  }
}

function unquote(raw: string): string {
  return raw.slice(1, -1).replace(/\\(.)/gs, (whole, letter: string) => ESCAPES[letter] ?? whole)
}
