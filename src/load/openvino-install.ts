import { join } from 'node:path'
import { installedOpenvino, openvinoFolders } from './openvino-files.js'
import pinned from './openvino-release.json' with { type: 'json' }
import { checkWheelPlatform, installWheels, renameSoname } from './wheel-install.js'

export type Release = typeof pinned

export interface InstallOptions {
  /** The Python whose pip fetches the wheel and whose zipfile unpacks it; `python3` by default. */
  readonly python?: string
  /** Install what is there already. */
  readonly force?: boolean
  /** Progress, a line each. */
  say?(line: string): void
  /** The folder to fill instead of the usual one. */
  readonly folder?: string
  readonly release?: Release
}

export interface InstalledProvider {
  /** The ONNX Runtime that has the provider. */
  readonly library: string
  /** False where it was there already. */
  readonly fresh: boolean
}

/**
 * Fetches what OpenVINO needs on CPUs: see `installWheels`.
 *
 * @throws SubtenError UNSUPPORTED_PLATFORM, or ENGINE_NOT_FOUND with what failed and what to do
 */
export async function installOpenvino(options: InstallOptions = {}): Promise<InstalledProvider> {
  const { folder: given, release = pinned, ...more } = options
  checkWheelPlatform(
    'the pinned OpenVINO',
    'Use the default provider, or name an ONNX Runtime that was built with OpenVINO in libraryPath.',
  )
  const { folder, fresh } = await installWheels({
    ...more,
    title: 'OpenVINO',
    wheels: [{ ...release, keep: release.files, flat: true }],
    folder: given ?? openvinoFolders()[0],
    complete: (place) => installedOpenvino([place]) !== undefined,
    finish: (place) => renameSoname(join(place, release.library), release.soname),
  })
  return { library: join(folder, release.library), fresh }
}
