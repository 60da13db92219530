import { join } from 'node:path'
import { installed } from '../runtime/addon-file.js'
import { cacheDirectory, isCheckout } from '../runtime/cache-directory.js'

/** What the installer leaves in a folder that is whole: the hashes of the wheels. */
export const INSTALLED_NOTE = 'installed'

/** Where something that is installed on request may lie: in a checkout, and in the user's cache. The first is filled. */
export function installFolders(what: string, env = process.env): string[] {
  const { root } = installed()
  const cache = cacheDirectory(undefined, env)
  const bases = [
    ...(root !== undefined && isCheckout(root) ? [join(root, '.cache')] : []),
    ...(cache === undefined ? [] : [cache]),
  ]
  return bases.map((base) => join(base, what))
}
