import { existsSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { installed } from '../runtime/addon-file.js'

/** Where Triton's library and what belongs to it lie. */
export interface TritonFiles {
  /** `libtritonserver.so`. */
  readonly library: string
  readonly backendDirectory?: string
  readonly cacheDirectory?: string
  /** The virtual environment of the Python backend. */
  readonly python?: string
}

const LIBRARY = 'libtritonserver.so'

/** Finds Triton: the given file, `TRITON_SERVER_LIB`, the checkout's own, the prefix of NVIDIA's container. */
export function tritonFiles(explicit?: string): { files?: TritonFiles; looked: string[] } {
  const { root } = installed()
  const given = explicit || process.env.TRITON_SERVER_LIB
  const looked = given
    ? [resolve(given)]
    : [
        ...(root === undefined ? [] : [join(root, '.cache', 'triton', 'lib', LIBRARY)]),
        join('/opt/tritonserver/lib', LIBRARY),
      ]
  const library = looked.find((file) => existsSync(file))
  if (library === undefined) return { looked }
  const beside = (name: string): string | undefined => {
    const folder = join(dirname(library), '..', name)
    return existsSync(folder) ? folder : undefined
  }
  const backendDirectory = beside('backends')
  const cacheDirectory = beside('caches')
  const python = beside('python')
  return {
    files: {
      library,
      ...(backendDirectory && { backendDirectory }),
      ...(cacheDirectory && { cacheDirectory }),
      ...(python && { python }),
    },
    looked,
  }
}
