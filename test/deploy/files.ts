import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseAllDocuments } from 'yaml'

export const root = resolve(import.meta.dirname, '../..')

export const text = (path: string): string => readFileSync(join(root, path), 'utf8')

/** Paths of files under a folder of the repository, relative to its root. */
export function filesUnder(folder: string, ending: RegExp): string[] {
  const entries = readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile() && ending.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1))
    .sort()
}

/** Every document of a YAML file; throws on what is not YAML, duplicate keys included. */
export function documents(path: string): unknown[] {
  return parseAllDocuments(text(path)).map((document) => {
    const problem = document.errors[0] ?? document.warnings[0]
    if (problem) throw new Error(`${path}: ${problem.message}`)
    return document.toJS() as unknown
  })
}
