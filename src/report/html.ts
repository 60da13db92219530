/** A piece of HTML that needs no more escaping. */
export class Html {
  constructor(readonly text: string) {}
}

/** What may stand in a template: text and numbers are escaped, pieces are not, nothing is left out. */
export type Content = Html | string | number | undefined | false | readonly Content[]

/**
 * HTML from a template. Everything put in is escaped, for text and for attributes in double quotes, so that no string of
 * a report (a model's name, an error's message) can become markup.
 */
export function html(parts: TemplateStringsArray, ...contents: readonly Content[]): Html {
  let text = parts[0] as string
  contents.forEach((content, i) => {
    text += textOf(content) + (parts[i + 1] as string)
  })
  return new Html(text)
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

/** Also shows characters that are not seen, and could make a name look like another. */
export function escapeHtml(text: string): string {
  return visible(text).replace(/[&<>"']/g, (sign) => ENTITIES[sign] as string)
}

const UNSEEN =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/g

/** Text whose control characters and marks of direction show as `\u202e`. */
export const visible = (text: string): string => text.replace(UNSEEN, codeOf)

const codeOf = (sign: string): string => `\\u${sign.charCodeAt(0).toString(16).padStart(4, '0')}`

function textOf(content: Content): string {
  if (content instanceof Html) return content.text
  if (content === undefined || content === false) return ''
  if (typeof content === 'string') return escapeHtml(content)
  if (typeof content === 'number') return String(content)
  return content.map(textOf).join('')
}

/** JSON that can stand in a `<script>` block: nothing in it can end the block or begin a comment. */
export function scriptJson(value: unknown): Html {
  const text = JSON.stringify(value) ?? 'null'
  return new Html(text.replace(/[<>&\u2028\u2029]/g, codeOf).replace(UNSEEN, codeOf))
}
