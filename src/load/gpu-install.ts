import { join } from 'node:path'
import { type GpuEngine, type GpuRelease, gpuFolders, gpuReleases, isWhole } from './gpu-files.js'
import { checkWheelPlatform, installWheels, renameSoname } from './wheel-install.js'

export interface GpuInstallOptions {
  /** The Python whose pip fetches the wheels and whose zipfile unpacks them; `python3` by default. */
  readonly python?: string
  /** Install what is there already. */
  readonly force?: boolean
  /** Progress, a line each. */
  say?(line: string): void
  /** The folder to fill instead of the usual one. */
  readonly folder?: string
  readonly release?: GpuRelease
}

/**
 * Fetches the libraries of a GPU engine, pinned by their hashes: see `installWheels`. They are NVIDIA's, and
 * Microsoft's, under their own licences; nothing of them is in subten's packages.
 *
 * @throws SubtenError UNSUPPORTED_PLATFORM, or ENGINE_NOT_FOUND with what failed and what to do
 */
export async function installGpu(
  engine: GpuEngine,
  options: GpuInstallOptions = {},
): Promise<{ readonly folder: string; readonly fresh: boolean }> {
  const { folder: given, release = gpuReleases[engine], ...more } = options
  const { title, library, soname } = release
  checkWheelPlatform(title, 'Install the libraries with the packages of your distribution or of NVIDIA.')
  return installWheels({
    ...more,
    title,
    wheels: release.wheels,
    folder: given ?? gpuFolders(engine)[0],
    complete: (place) => isWhole(engine, place),
    finish: (place) => {
      if (library !== undefined && soname !== undefined) renameSoname(join(place, library), soname)
    },
  })
}
