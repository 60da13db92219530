import { stat } from 'node:fs/promises'
import textformat from 'protobufjs/ext/textformat.js'
import { type ConfigDocument, type ConfigFields, configError } from './config-document.js'
import { toWritten } from './plain.js'
import { messageInfo, reflectedType } from './reflection.js'
import { locate, type Place, placeOf, TextProblem } from './text-locator.js'
import { tokenize } from './text-tokens.js'
import { wholeFile } from './whole-file.js'

/** No real configuration comes near; a larger file is some other file. */
export const MAX_CONFIG_BYTES = 1024 * 1024

/**
 * Reads a configuration in protobuf text format.
 * @param text content of a config.pbtxt
 * @param file its path, for errors
 * @throws SubtenError CONFIG_INVALID with file, line and field: syntax, unknown fields, wrong types, fields set twice
 */
export function parseConfig(text: string, file: string): ConfigDocument {
  if (Buffer.byteLength(text) > MAX_CONFIG_BYTES) throw tooLarge(file)
  const content = text.startsWith('\uFEFF') ? text.slice(1) : text
  let places: Place
  try {
    places = locate(content, messageInfo('ModelConfig'))
  } catch (error) {
    if (error instanceof TextProblem) throw configError({ file, line: error.line }, error.path, error.message)
    throw error
  }
  let message: unknown
  try {
    message = textformat.fromText(reflectedType('ModelConfig'), content)
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error)
    const line = /\(line (\d+)\)$/.exec(text)?.[1]
    const problem = text.replace(/ \(line \d+\)$/, '')
    throw configError({ file, line: line === undefined ? lineOfBytes(content) : Number(line) }, [], problem, {
      cause: error,
    })
  }
  const origin: ConfigDocument['origin'] = (path) => ({ file, line: placeOf(places, path).line })
  const fields = toWritten('ModelConfig', message, (path, problem) => {
    throw configError(origin(path), path, problem)
  })
  return { fields, file, origin }
}

/**
 * Reads a config.pbtxt.
 * @returns undefined when there is no such file
 * @throws SubtenError CONFIG_INVALID as {@link parseConfig}, and for a file over 1 MiB, unreadable or not UTF-8
 */
export async function readConfigFile(file: string): Promise<ConfigDocument | undefined> {
  let bytes: Buffer
  try {
    const status = await stat(file)
    if (!status.isFile()) throw configError({ file }, [], 'this is not a file')
    if (status.size > MAX_CONFIG_BYTES) throw tooLarge(file)
    bytes = wholeFile(file)
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'ENOENT') return undefined
    if (code !== undefined && /^E[A-Z]+$/.test(code)) {
      throw configError({ file }, [], `cannot be read (${code})`, {
        cause: error,
        remedy: 'Check the permissions of the file.',
      })
    }
    throw error
  }
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (error) {
    throw configError({ file }, [], 'this is not UTF-8 text', { cause: error })
  }
  return parseConfig(text, file)
}

/** Writes settings as a config.pbtxt that {@link parseConfig}, and Triton, read. */
export function formatConfig(fields: ConfigFields): string {
  return `${textformat.toText(reflectedType('ModelConfig'), fields)}\n`
}

/** The line of the first string whose escaped bytes are not UTF-8: protobuf.js refuses it without saying where. */
function lineOfBytes(content: string): number {
  let line = 1
  for (const token of tokenize(content)) {
    if (token.kind === 'end') break
    line = token.line
    if (token.kind !== 'string' || !/\\(?:[0-7]|[xX])/.test(token.text)) continue
    const bytes = token.text.replace(/\\(?:([0-7]{1,3})|[xX]([0-9A-Fa-f]{1,2}))/g, (_, octal?: string, hex?: string) =>
      String.fromCharCode(
        (octal === undefined ? Number.parseInt(hex as string, 16) : Number.parseInt(octal, 8)) & 0xff,
      ),
    )
    try {
      // Other characters of the string are text already; only those of the escapes are bytes.
      new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(bytes.replace(/[^\0-\xff]/g, ''), 'latin1'))
    } catch {
      return line
    }
  }
  return line
}

function tooLarge(file: string) {
  return configError({ file }, [], `the file is larger than ${MAX_CONFIG_BYTES} bytes`, {
    remedy: 'A model configuration is a few kilobytes of text; check that this is the right file.',
  })
}
