import { type FieldPath, suggestion } from './field-path.js'
import { type FieldInfo, integerRange, type MessageInfo } from './reflection.js'
import { type Token, TokenError, tokenize } from './text-tokens.js'

/** Where a setting stands, and where the settings inside it stand. */
export interface Place {
  readonly line: number
  readonly column: number
  readonly inside: Map<string | number, Place>
}

/** Thrown by {@link locate}: the first thing in the text that the schema does not allow. */
export class TextProblem extends Error {
  constructor(
    message: string,
    readonly line: number,
    readonly path: FieldPath,
  ) {
    super(message)
  }
}

/** Deeper than any configuration: the schema does not nest in itself. */
const MAX_DEPTH = 32
/** More than a 64-bit integer has in any base. */
const MAX_DIGITS = 64

/**
 * Walks protobuf text format along the schema and notes where each setting stands. protobuf.js reads the values but
 * says a line only now and then, so this walk also finds what it would refuse, and says it with line and field.
 * @throws {@link TextProblem}
 */
export function locate(text: string, message: MessageInfo): Place {
  return new Locator(text).file(message)
}

/** The place of a setting, or of the nearest thing around it. */
export function placeOf(root: Place, path: FieldPath): Place {
  let place = root
  for (const part of path) {
    const next = place.inside.get(part)
    if (next === undefined) break
    place = next
  }
  return place
}

class Locator {
  private readonly tokens: Generator<Token, never>
  private token!: Token
  private path: (string | number)[] = []

  constructor(text: string) {
    this.tokens = tokenize(text)
  }

  file(message: MessageInfo): Place {
    this.advance()
    const place: Place = { line: 1, column: 1, inside: new Map() }
    this.fields(message, place, undefined)
    return place
  }

  private advance(): Token {
    const token = this.token
    try {
      this.token = this.tokens.next().value
    } catch (error) {
      if (error instanceof TokenError) throw new TextProblem(error.message, error.line, [...this.path])
      throw error
    }
    return token
  }

  private fail(problem: string, token: Token = this.token): never {
    throw new TextProblem(problem, token.line, [...this.path])
  }

  private isMark(text: string): boolean {
    return this.token.kind === 'mark' && this.token.text === text
  }

  private skip(text: string): boolean {
    if (!this.isMark(text)) return false
    this.advance()
    return true
  }

  private shown(token: Token = this.token): string {
    return token.kind === 'end'
      ? token.text
      : token.kind === 'string'
        ? `the string ${JSON.stringify(token.text)}`
        : `"${token.text}"`
  }

  /** The fields of a message up to its closing mark, or up to the end of the file. */
  private fields(message: MessageInfo, place: Place, close: string | undefined): void {
    if (this.path.length > MAX_DEPTH) this.fail('nested too deeply')
    const chosen = new Map<string, { name: string; line: number }>()
    for (;;) {
      if (close === undefined ? this.token.kind === 'end' : this.skip(close)) return
      const name = this.fieldName(close)
      const field = message.fields.get(name.text)
      this.path.push(name.text)
      if (field === undefined) this.fail(`unknown field${suggestion(name.text, message.fields.keys())}`, name)
      const before = place.inside.get(field.name)
      if (field.kind === 'single' && before) this.fail(`set a second time; line ${before.line} has it already`, name)
      if (field.choice !== undefined) {
        const other = chosen.get(field.choice)
        if (other) this.fail(`cannot be set together with ${other.name} (line ${other.line})`, name)
        chosen.set(field.choice, { name: field.name, line: name.line })
      }
      const own = before ?? { line: name.line, column: name.column, inside: new Map() }
      place.inside.set(field.name, own)
      this.fieldValue(field, own)
      this.path.pop()
      this.separator()
    }
  }

  private fieldName(close: string | undefined): Token {
    if (this.isMark('[')) this.fail('extensions and Any messages are not part of a model configuration')
    if (this.token.kind !== 'word') {
      const closing = close === undefined ? '' : ` or "${close}"`
      this.fail(`a field name${closing} was expected here, not ${this.shown()}`)
    }
    return this.advance()
  }

  /** Fields may be separated by one comma or semicolon. */
  private separator(): void {
    if (this.skip(',') || this.skip(';')) {
      if (this.isMark(',') || this.isMark(';')) this.fail(`unexpected "${this.token.text}"`)
    }
  }

  private fieldValue(field: FieldInfo, place: Place): void {
    const colon = this.skip(':')
    const composite = field.kind === 'map' || field.message !== undefined
    if (!colon && !composite) this.fail(`":" and a value were expected here, not ${this.shown()}`)
    if (!this.isMark('[')) {
      this.element(field, place)
      return
    }
    if (field.kind === 'single') this.fail('takes one value, not a list')
    this.advance()
    if (this.skip(']')) return
    for (;;) {
      this.element(field, place)
      if (this.skip(']')) return
      if (!this.skip(',')) this.fail(`"," or "]" was expected here, not ${this.shown()}`)
    }
  }

  /** One value of a field: of a list the next, of a map one entry. */
  private element(field: FieldInfo, place: Place): void {
    if (field.kind === 'map') {
      this.entry(field, place)
      return
    }
    let own = place
    if (field.kind === 'list') {
      const index = place.inside.size
      own = { line: this.token.line, column: this.token.column, inside: new Map() }
      place.inside.set(index, own)
      this.path.push(index)
    }
    if (field.message) this.fields(field.message, own, this.open())
    else this.scalar(field.type, field.values)
    if (field.kind === 'list') this.path.pop()
  }

  private open(): string {
    if (this.skip('{')) return '}'
    if (this.skip('<')) return '>'
    return this.fail(`"{" was expected here, not ${this.shown()}`)
  }

  private entry(field: FieldInfo, place: Place): void {
    const { line, column } = this.token
    const close = this.open()
    const own: Place = { line, column, inside: new Map() }
    const seen = new Set<string>()
    let key = field.keyType === 'string' ? '' : '0'
    while (!this.skip(close)) {
      const name = this.fieldName(close)
      if (name.text !== 'key' && name.text !== 'value') {
        this.path.push(name.text)
        this.fail(
          `unknown field${suggestion(name.text, ['key', 'value']) || '; a map entry has "key" and "value"'}`,
          name,
        )
      }
      if (seen.has(name.text)) this.fail(`"${name.text}" is set a second time in this entry`, name)
      seen.add(name.text)
      const colon = this.skip(':')
      const composite = name.text === 'value' && field.message !== undefined
      if (!colon && !composite) this.fail(`":" and a value were expected here, not ${this.shown()}`)
      if (name.text === 'key') {
        key = this.scalar(field.keyType ?? 'string', undefined)
        if (key === '__proto__') this.fail('"__proto__" is not allowed as a key', name)
      } else {
        const depth = this.path.length
        if (seen.has('key')) this.path.push(key)
        if (field.message) this.fields(field.message, own, this.open())
        else this.scalar(field.type, field.values)
        this.path.length = depth
      }
      this.separator()
    }
    place.inside.set(key, own)
  }

  /** Checks one scalar or enumeration value and returns its text. */
  private scalar(type: string, values: Readonly<Record<string, number>> | undefined): string {
    const first = this.token
    if (type === 'string') {
      if (first.kind !== 'string') this.fail(`a quoted string was expected here, not ${this.shown()}`)
      let text = ''
      while (this.token.kind === 'string') text += this.advance().text
      return text
    }
    const negative = this.skip('-')
    const token = this.advance()
    const shown = `${negative ? '-' : ''}${token.text}`
    if (values) return this.enumeration(values, token, negative)
    if (type === 'bool') {
      const allowed = ['true', 'True', 't', 'false', 'False', 'f', '0', '1']
      if (negative || token.kind === 'string' || !allowed.includes(token.text)) {
        this.fail(`true or false was expected here, not ${this.shown(token)}`, first)
      }
      return token.text
    }
    const range = integerRange(type)
    if (range) {
      if (token.kind !== 'number' || !/^(?:0|[1-9]\d*|0[xX][0-9A-Fa-f]+|0[0-7]+)$/.test(token.text)) {
        this.fail(`a whole number was expected here, not ${this.shown(token)}`, first)
      }
      if (token.text.length > MAX_DIGITS) this.fail(`this number does not fit ${type}`, first)
      const octal = /^0[0-7]+$/.test(token.text)
      const value = BigInt(octal ? `0o${token.text.slice(1)}` : token.text) * (negative ? -1n : 1n)
      if (negative && range[0] === 0n) this.fail(`cannot be negative (${shown})`, first)
      if (value < range[0] || value > range[1]) this.fail(`${shown} does not fit ${type}`, first)
      return String(value)
    }
    const special = token.kind === 'word' && /^(?:inf|infinity|nan)$/i.test(token.text)
    if (!special && (token.kind !== 'number' || /^0[xX\d]/.test(token.text))) {
      this.fail(`a number was expected here, not ${this.shown(token)}`, first)
    }
    return shown
  }

  private enumeration(values: Readonly<Record<string, number>>, token: Token, negative: boolean): string {
    const names = Object.keys(values)
    if (token.kind === 'word' && !negative) {
      if (names.includes(token.text)) return token.text
      this.fail(
        `unknown value "${token.text}"${suggestion(token.text, names) || `; it is one of ${names.join(', ')}`}`,
        token,
      )
    }
    const known = token.kind === 'number' && !negative && Object.values(values).includes(Number(token.text))
    if (!known) this.fail(`one of ${names.join(', ')} was expected here, not ${this.shown(token)}`, token)
    return token.text
  }
}
