import { parseConfig } from './config-text.js'
import { type Token, tokenize } from './text-tokens.js'

/** What is to be other in a configuration; all else stays as it is written, comments too. */
export interface ConfigEdits {
  /** Written where the text has a name; a text without one stays without. */
  readonly name?: string
  /** Fields of the top level that hold a word or a number; null takes the field away. */
  readonly fields?: Readonly<Record<string, string | number | null>>
  /** `string_value` of entries of `parameters`; null takes the entry away. */
  readonly parameters?: Readonly<Record<string, string | null>>
}

interface Change {
  readonly from: number
  readonly to: number
  readonly text: string
}

/** One field of the top level: its value is the tokens from `value` to before `end`. */
interface Field {
  readonly name: string
  readonly first: number
  readonly value: number
  readonly end: number
}

const OPENING = '{<['
const CLOSING = '}>]'

/**
 * Changes a config.pbtxt as a person would, in place: a writer would lose the comments, the order and the layout.
 *
 * @param text a valid configuration
 * @throws SubtenError CONFIG_INVALID where the text is none
 */
export function editConfig(text: string, edits: ConfigEdits, file = 'config.pbtxt'): string {
  parseConfig(text, file)
  const tokens = allTokens(text)
  const changes: Change[] = []
  const missing = new Map(Object.entries(edits.parameters ?? {}).filter(([, value]) => value !== null))
  const absent = new Map(Object.entries(edits.fields ?? {}).filter(([, value]) => value !== null))
  for (const field of topLevel(tokens)) {
    if (field.name === 'name' && edits.name !== undefined) {
      changes.push({ ...span(tokens, field.value, field.end), text: JSON.stringify(edits.name) })
    }
    const wanted = edits.fields?.[field.name]
    if (wanted !== undefined) {
      absent.delete(field.name)
      changes.push(
        wanted === null
          ? { ...span(tokens, field.first, field.end), text: '' }
          : { ...span(tokens, field.value, field.end), text: JSON.stringify(wanted) },
      )
    }
    if (field.name === 'parameters') {
      for (const { key, change } of parameterChanges(text, tokens, field, edits.parameters ?? {})) {
        missing.delete(key)
        changes.push(change)
      }
    }
  }
  let edited = text
  for (const { from, to, text: replacement } of changes.sort((a, b) => b.from - a.from)) {
    edited = edited.slice(0, from) + replacement + edited.slice(to)
  }
  const added = [
    ...[...absent].map(([name, value]) => `${name}: ${JSON.stringify(value)}\n`),
    ...[...missing].map(([key, value]) => `parameters: ${entry(key, value as string)}\n`),
  ]
  if (added.length > 0 && edited !== '' && !edited.endsWith('\n')) edited += '\n'
  edited += added.join('')
  parseConfig(edited, file)
  return edited
}

/** An entry of `parameters` on lines of its own. */
function entry(key: string, value: string): string {
  return `{\n  key: ${JSON.stringify(key)}\n  value: { string_value: ${JSON.stringify(value)} }\n}`
}

function allTokens(text: string): Token[] {
  const tokens: Token[] = []
  for (const token of tokenize(text.startsWith('\uFEFF') ? ` ${text.slice(1)}` : text)) {
    if (token.kind === 'end') return tokens
    tokens.push(token)
  }
  return tokens
}

const isMark = (token: Token | undefined, marks: string): boolean =>
  token?.kind === 'mark' && marks.includes(token.text)

function topLevel(tokens: readonly Token[]): Field[] {
  const fields: Field[] = []
  for (let at = 0; at < tokens.length; ) {
    const first = at
    const name = (tokens[at++] as Token).text
    if (isMark(tokens[at], ':')) at++
    const value = at
    at = afterValue(tokens, at)
    fields.push({ name, first, value, end: at })
    if (isMark(tokens[at], ',;')) at++
  }
  return fields
}

/** The token after the value that begins here: a block, a list, strings side by side, or one word or number. */
function afterValue(tokens: readonly Token[], at: number): number {
  if (isMark(tokens[at], OPENING)) {
    let depth = 0
    for (let i = at; i < tokens.length; i++) {
      if (isMark(tokens[i], OPENING)) depth++
      else if (isMark(tokens[i], CLOSING) && --depth === 0) return i + 1
    }
    return tokens.length
  }
  if (isMark(tokens[at], '-')) return at + 2
  if (tokens[at]?.kind !== 'string') return at + 1
  let end = at
  while (tokens[end]?.kind === 'string') end++
  return end
}

function parameterChanges(
  text: string,
  tokens: readonly Token[],
  field: Field,
  wanted: Readonly<Record<string, string | null>>,
): { key: string; change: Change }[] {
  const inList = isMark(tokens[field.value], '[')
  const blocks: { open: number; close: number }[] = []
  for (let at = inList ? field.value + 1 : field.value; at < field.end; at++) {
    if (!isMark(tokens[at], '{<')) continue
    const close = afterValue(tokens, at)
    blocks.push({ open: at, close })
    at = close - 1
  }
  return blocks.flatMap(({ open, close }) => {
    const key = keyOf(tokens, open, close)
    if (!Object.hasOwn(wanted, key)) return []
    const value = wanted[key]
    if (value !== null) return [{ key, change: { ...span(tokens, open, close), text: entry(key, value as string) } }]
    let { from, to } = inList ? span(tokens, open, close) : span(tokens, field.first, field.end)
    if (inList) {
      // With it goes the comma after it, or the one before it.
      if (isMark(tokens[close], ',')) to = (tokens[close] as Token).end
      else if (isMark(tokens[open - 1], ',')) from = (tokens[open - 1] as Token).start
    } else {
      if (isMark(tokens[field.end], ',;')) to = (tokens[field.end] as Token).end
      to += /^[ \t]*\r?\n?/.exec(text.slice(to))?.[0].length ?? 0
    }
    return [{ key, change: { from, to, text: '' } }]
  })
}

function keyOf(tokens: readonly Token[], open: number, close: number): string {
  for (let at = open + 1; at < close - 1; ) {
    const name = (tokens[at++] as Token).text
    if (isMark(tokens[at], ':')) at++
    const end = afterValue(tokens, at)
    if (name === 'key')
      return tokens
        .slice(at, end)
        .map(({ text }) => text)
        .join('')
    at = end
    if (isMark(tokens[at], ',;')) at++
  }
  return ''
}

function span(tokens: readonly Token[], first: number, end: number): { from: number; to: number } {
  return { from: (tokens[first] as Token).start, to: (tokens[end - 1] as Token).end }
}
