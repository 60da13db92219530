import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const ADDON = 'subten.node'
export const ONNXRUNTIME = 'libsubten_onnxruntime.so.1'
export const JPEG = 'libsubten_jpeg.so'

/** This file; in a bundle, the bundle. A bundler that makes CommonJS of ESM leaves `import.meta.url` empty. */
export function ownFile(): string {
  const url = import.meta.url as string | undefined
  return url ? fileURLToPath(url) : __filename
}

/** Where the package's files are. `root` is undefined in a bundle that was carried away from node_modules. */
export interface Installed {
  /** The folder of this file. */
  readonly folder: string
  /** The folder of subten's package.json. */
  readonly root: string | undefined
  /** Whether this code was bundled into another package. */
  readonly bundled: boolean
}

export function installed(file = ownFile()): Installed {
  const folder = dirname(file)
  const above = packageAbove(folder)
  if (above?.name === 'subten') return { folder, root: above.root, bundled: false }
  try {
    const manifest = createRequire(file).resolve('subten/package.json')
    return { folder, root: dirname(manifest), bundled: true }
  } catch {
    return { folder, root: undefined, bundled: true }
  }
}

function packageAbove(folder: string): { name: unknown; root: string } | undefined {
  for (let root = folder; ; root = dirname(root)) {
    const manifest = join(root, 'package.json')
    if (existsSync(manifest)) return { name: nameIn(manifest), root }
    if (root === dirname(root)) return undefined
  }
}

function nameIn(manifest: string): unknown {
  try {
    return (JSON.parse(readFileSync(manifest, 'utf8')) as { name?: unknown }).name
  } catch {
    return undefined
  }
}

/** The addon: beside a bundle, else what node-gyp-build finds in the package. Throws where there is none. */
export function addonFile({ folder, root, bundled }: Installed): string {
  const beside = join(folder, ADDON)
  if (bundled && existsSync(beside)) return beside
  if (root === undefined) throw new Error(`there is no ${ADDON} beside the bundle in ${folder}`)
  // Required from the package, which has it among its dependencies however node_modules is laid out.
  const find = createRequire(join(root, 'package.json'))('node-gyp-build') as { path(root: string): string }
  return find.path(root)
}

/** ONNX Runtime's library, or '' where it is not installed: native code then goes on searching. */
export function onnxruntimeFile(where: Installed): string {
  return libraryFile(where, 'onnxruntime', ONNXRUNTIME)
}

/** libjpeg-turbo's library, or '' where it is not installed: pictures are then decoded by sharp. */
export function jpegFile(where: Installed): string {
  return libraryFile(where, 'jpeg', JPEG)
}

/** The folder of what drives TensorRT, or '' where `@subten/tensorrt-linux-x64` is not installed. */
export function tensorrtFolder(where: Installed): string {
  const file = libraryFile(where, 'tensorrt', 'subten_tensorrt_11.so')
  return file === '' ? '' : dirname(file)
}

/** A file of the package `@subten/<library>-<platform>`, or beside a bundle. */
function libraryFile({ folder, root, bundled }: Installed, library: string, file: string): string {
  const name = `${library}-${process.platform}-${process.arch}`
  const places = bundled ? [join(folder, file)] : []
  if (root !== undefined) {
    try {
      const manifest = createRequire(join(root, 'package.json')).resolve(`@subten/${name}/package.json`)
      places.push(join(dirname(manifest), 'lib', file))
    } catch {
      // not installed: a checkout has it among its workspaces
    }
    places.push(join(root, 'npm', name, 'lib', file))
  }
  return places.find((place) => existsSync(place)) ?? ''
}
