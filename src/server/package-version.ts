import { readFileSync } from 'node:fs'

/** The version of this package, from the package.json above dist/ or src/. */
export const version: string = readVersion()

function readVersion(): string {
  for (let folder = new URL('./', import.meta.url), i = 0; i < 6; folder = new URL('../', folder), i++) {
    try {
      const { name, version: found } = JSON.parse(readFileSync(new URL('package.json', folder), 'utf8'))
      if (name === 'subten') return String(found)
    } catch {
      // not here: one folder up
    }
  }
  return 'unknown'
}
