import { stat } from 'node:fs/promises'
import { configError } from './config-document.js'
import { containedPath } from './contained-path.js'
import { wholeFile } from './whole-file.js'

const MAX_LABEL_BYTES = 16 * 1024 * 1024

/**
 * Reads a label file: one label a line, in the order of the output's elements. The end of the last line is optional;
 * CRLF is taken too.
 * @param directory the model's directory
 * @param name `label_filename` of the output
 * @param output index of the output, for errors
 * @throws SubtenError CONFIG_INVALID: missing, outside the directory, too large, not UTF-8
 */
export async function readLabels(directory: string, name: string, output = 0): Promise<string[]> {
  const fail = (problem: string, cause?: unknown): never => {
    throw configError({ file: directory }, ['output', output, 'label_filename'], problem, { cause })
  }
  const file = await containedPath(directory, name, () => fail(`"${name}" leads out of the model directory`))
  if (file === undefined) return fail(`there is no file "${name}" in the model directory`)
  const status = await stat(file)
  if (!status.isFile()) return fail(`"${name}" is not a file`)
  if (status.size > MAX_LABEL_BYTES) return fail(`"${name}" is larger than ${MAX_LABEL_BYTES} bytes`)
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(wholeFile(file))
  } catch (error) {
    return fail(`"${name}" cannot be read as UTF-8 text`, error)
  }
  const lines = text.split(/\r?\n/)
  if (lines.at(-1) === '') lines.pop()
  return lines
}
