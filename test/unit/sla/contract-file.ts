import { readFileSync } from 'node:fs'
import { relative } from 'node:path'
import { fileURLToPath } from 'node:url'

/** A contract of this folder, as a path from where the tests run. */
export function contractFile(name: string): string {
  return relative(process.cwd(), fileURLToPath(new URL(`contracts/${name}`, import.meta.url)))
}

export function contractText(name: string): string {
  return readFileSync(contractFile(name), 'utf8')
}
