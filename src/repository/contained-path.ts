import { realpath } from 'node:fs/promises'
import { join, sep } from 'node:path'
import { isInnerPath } from './names.js'

/**
 * Resolves a path that a configuration names, and makes sure that it stays in its directory, links followed.
 * @returns the real path; undefined when nothing is there
 * @throws whatever `fail` throws, when the path leads out of the directory
 */
export async function containedPath(directory: string, inner: string, fail: () => never): Promise<string | undefined> {
  if (!isInnerPath(inner)) return fail()
  let root: string
  let target: string
  try {
    root = await realpath(directory)
    target = await realpath(join(directory, inner))
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ELOOP') return undefined
    throw error
  }
  if (!target.startsWith(root.endsWith(sep) ? root : root + sep)) return fail()
  return target
}
