import { Lexer } from 'yaml'

/** Flow collections, `[{`, within each other. */
const MOST_FLOW = 32
/** Block collections nest by columns: no deeper than twice the column at which a line's content begins. */
const MOST_COLUMNS = 128
/** `- - -`, `? ? ?` and `: : :` nest without columns of their own. */
const MOST_INDICATORS = 32

/**
 * The offset at which YAML nests too deeply to be given to the parser, or undefined. The parser descends by recursion,
 * and a call stack that is used up can end the process: V8 aborts when it runs out while it compiles a regular
 * expression. The lexer does not recurse.
 */
export function tooDeepAt(text: string): number | undefined {
  let offset = 0
  let flow = 0
  let column = 0
  let indicators = 0
  let inContent = false
  let isScalar = false
  for (const token of new Lexer().lex(text)) {
    const [first = ''] = token
    const content = inContent
    const scalar = isScalar
    // Marks of the lexer that are no text: the next token is a scalar; a document starts; an error in a flow collection.
    isScalar = first === '\x1f'
    if (isScalar || first === '\x02' || first === '\x18') continue
    if (scalar) {
      // Whatever it looks like: a block of text begins with the spaces before it.
      inContent = true
    } else if (first === '\n' || first === '\r') {
      column = 0
      indicators = 0
      inContent = false
    } else if (token === '[' || token === '{') {
      flow++
      inContent = true
    } else if (token === ']' || token === '}') {
      flow = Math.max(0, flow - 1)
    } else if (token === '-' || token === '?' || token === ':') {
      indicators += flow > 0 ? 0 : 1
      column++
    } else if (first === ' ' || first === '\t') {
      column += token.length
      // What an indented blank line or comment has before it is no nesting.
      offset += token.length
      continue
    } else inContent ||= first !== '#'
    if (flow > MOST_FLOW || indicators > MOST_INDICATORS) return offset
    if (column > MOST_COLUMNS && !content && (inContent || indicators > 0)) return offset
    offset += token.length
  }
  return undefined
}
