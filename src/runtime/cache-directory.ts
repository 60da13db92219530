import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

/**
 * Where what is learned or fetched for all programs of a user is kept: the option, else `$SUBTEN_CACHE_DIR`, else `$XDG_CACHE_HOME/subten`, else
 * `~/.cache/subten`; undefined where the option is false.
 */
export function cacheDirectory(option: string | false | undefined, env = process.env): string | undefined {
  if (option === false) return undefined
  if (option !== undefined) return option
  if (env.SUBTEN_CACHE_DIR) return env.SUBTEN_CACHE_DIR
  if (env.XDG_CACHE_HOME) return join(env.XDG_CACHE_HOME, 'subten')
  try {
    return join(homedir(), '.cache', 'subten')
  } catch {
    return undefined // a user without a home, as in containers
  }
}

/** Whether subten runs from a checkout, which has a `.cache` of its own: the published package has no sources. */
export function isCheckout(root: string): boolean {
  return existsSync(join(root, 'src', 'index.ts'))
}
