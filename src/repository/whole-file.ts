import { readFileSync } from 'node:fs'

/**
 * The bytes of a small file. Not with fs.promises: a worker that is terminated while such a read is under way leaves the
 * file open until the process ends (9 of 60 terminations on Node 20).
 */
export function wholeFile(path: string): Buffer {
  return readFileSync(path)
}
