import { existsSync, readFileSync, statSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { installed } from '../runtime/addon-file.js'
import { cacheDirectory, isCheckout } from '../runtime/cache-directory.js'
import { SubtenError } from '../runtime/errors.js'

/** The Python that runs what is in `tools/`. */
export interface ToolsPython {
  readonly executable: string
  /** Whether `npm run tools:install` made it, so that nothing of the user's environment need be seen. */
  readonly ours: boolean
  /** The folder `tools/` of the package. */
  readonly tools: string
}

/**
 * Finds the Python with the pinned packages: `SUBTEN_PYTHON`, `.cache/tools` of a checkout, or the cache folder
 * (`$SUBTEN_CACHE_DIR`, `$XDG_CACHE_HOME/subten` or `~/.cache/subten`), where `tools-install.mjs` puts it.
 *
 * @throws SubtenError ENGINE_NOT_FOUND with the line to run
 */
export function toolsPython(env: NodeJS.ProcessEnv = process.env, root = installed().root): ToolsPython {
  if (root === undefined || !existsSync(join(root, 'tools', 'quantize.py'))) {
    throw new SubtenError('NOT_SUPPORTED', 'this build of subten has no folder with its Python tools', {
      remedy: 'Run the command line of the installed package: npx subten quantize.',
    })
  }
  const tools = join(root, 'tools')
  const named = env.SUBTEN_PYTHON
  if (named) {
    const executable = interpreter(named, env)
    if (executable !== undefined) return { executable, ours: false, tools }
    throw new SubtenError('ENGINE_NOT_FOUND', `there is no Python at ${named} (SUBTEN_PYTHON)`, {
      remedy: `Name another Python, or none and run: ${installCommand(root)}`,
      details: { executable: named },
    })
  }
  const places = toolsFolders(root, env)
  // The file `installed` is written last: an install that was interrupted has none.
  const folder = places.find((place) => existsSync(join(place, 'installed')))
  if (folder !== undefined) return { executable: join(folder, 'bin', 'python3'), ours: true, tools }
  throw new SubtenError('ENGINE_NOT_FOUND', 'the Python environment that quantises models is not installed', {
    remedy: `Run once: ${installCommand(root)}`,
    details: { places },
  })
}

/** Where the environment may be, a checkout's own first. `scripts/tools-install.mjs` knows the same. */
export function toolsFolders(root: string, env: NodeJS.ProcessEnv = process.env): string[] {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }
  const cache = cacheDirectory(undefined, env)
  const shared = cache === undefined ? [] : [join(cache, `tools-${version}`)]
  return isCheckout(root) ? [join(root, '.cache', 'tools'), ...shared] : shared
}

/** An interpreter, the folder of a virtual environment, or a command on the PATH. */
function interpreter(named: string, env: NodeJS.ProcessEnv): string | undefined {
  const folders = named.includes('/') ? [''] : (env.PATH ?? '').split(delimiter)
  const file = folders.map((folder) => join(folder, named)).find((path) => existsSync(path))
  if (file === undefined || !statSync(file).isDirectory()) return file
  const inside = join(file, 'bin', 'python3')
  return existsSync(inside) ? inside : undefined
}

function installCommand(root: string): string {
  return isCheckout(root) ? 'npm run tools:install' : `node ${join(root, 'scripts', 'tools-install.mjs')}`
}
