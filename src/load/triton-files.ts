import { existsSync, realpathSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { installed } from '../runtime/addon-file.js'

/** Where Triton lies. The folders belong to the library's tree and are absent where the tree has none. */
export interface TritonFiles {
  /** Absolute path of libtritonserver.so. */
  readonly library: string
  /** The folder of the backends, a folder for each. */
  readonly backendDirectory?: string
  /** The folder of the response caches. */
  readonly cacheDirectory?: string
  /** The virtual environment that the Python backend of this tree uses. */
  readonly python?: string
}

/** The prefix of NVIDIA's container. */
const CONTAINER = '/opt/tritonserver/lib/libtritonserver.so'

/**
 * Finds Triton's library: `explicit`, else `TRITON_SERVER_LIB`, else `.cache/triton` of the checkout
 * (`npm run triton:install`), else NVIDIA's container. A path may name the library, its folder or the tree above it.
 * One that is named, by option or by variable, is the only one looked at.
 */
export function tritonFiles(explicit?: string): { files?: TritonFiles; looked: string[] } {
  const named = explicit ?? (process.env.TRITON_SERVER_LIB || undefined)
  const places = named === undefined ? [...checkoutLibrary(), CONTAINER] : candidatesOf(resolve(named))
  const library = places.find((place) => place.includes('.so') && existsSync(place))
  if (library === undefined) return { looked: places }
  // The tree is the library's as it is named: a link inside of the tree may point elsewhere.
  const tree = dirname(dirname(library))
  const inTree = (folder: string): string | undefined => {
    const found = [join(tree, folder), join(dirname(dirname(realpathSync(library))), folder)]
    return found.find((path) => existsSync(path))
  }
  const backendDirectory = inTree('backends')
  const cacheDirectory = inTree('caches')
  const python = inTree('python/bin/python3')
  return {
    files: {
      library,
      ...(backendDirectory && { backendDirectory }),
      ...(cacheDirectory && { cacheDirectory }),
      ...(python && { python: dirname(dirname(python)) }),
    },
    looked: places.slice(0, places.indexOf(library) + 1),
  }
}

function candidatesOf(path: string): string[] {
  if (path.includes('.so')) return [path]
  return [join(path, 'libtritonserver.so'), join(path, 'lib', 'libtritonserver.so')]
}

/** The library of the checkout that this file belongs to, where there is one. */
function checkoutLibrary(): string[] {
  const { root } = installed()
  return root === undefined ? [] : [join(root, '.cache', 'triton', 'lib', 'libtritonserver.so')]
}
