import { existsSync, readdirSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { INSTALLED_NOTE, installFolders } from './install-folders.js'
import release from './openvino-release.json' with { type: 'json' }

export { INSTALLED_NOTE, release }

const PROVIDER = 'libonnxruntime_providers_openvino.so'

/** The folders that `subten providers install openvino` may have filled; it fills the first. */
export function openvinoFolders(env = process.env): string[] {
  return installFolders(join('openvino', release.version), env)
}

/** The ONNX Runtime with OpenVINO's provider that was installed, where there is one. */
export function installedOpenvino(folders = openvinoFolders()): string | undefined {
  const folder = folders.find((each) => existsSync(join(each, INSTALLED_NOTE)) && existsSync(join(each, PROVIDER)))
  return folder === undefined ? undefined : join(folder, release.library)
}

/** The library that `path` names: the file, or the one in the folder. Undefined where there is none. */
export function libraryAt(path: string): string | undefined {
  const place = resolve(path)
  if (!existsSync(place)) return undefined
  if (!statSync(place).isDirectory()) return place
  const name = readdirSync(place)
    .sort()
    .find((each) => /^lib(?:subten_)?onnxruntime\.so(\.|$)/.test(each))
  return name === undefined ? undefined : join(place, name)
}
