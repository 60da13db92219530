import { existsSync } from 'node:fs'
import { join } from 'node:path'
import pinned from './gpu-release.json' with { type: 'json' }
import { INSTALLED_NOTE, installFolders } from './install-folders.js'
import type { Wheel } from './wheel-install.js'

/** What `subten gpu install` fetches. */
export const GPU_ENGINES = ['cuda', 'tensorrt', 'rtx'] as const
export type GpuEngine = (typeof GPU_ENGINES)[number]

export interface GpuRelease {
  readonly title: string
  readonly version: string
  readonly wheels: readonly Wheel[]
  /** cuda: ONNX Runtime, and the SONAME that it gets. */
  readonly library?: string
  readonly soname?: { readonly from: string; readonly to: string }
  /** cuda: the folder of CUDA's own libraries, within. */
  readonly libraryPath?: string
}

export const gpuReleases: Readonly<Record<GpuEngine, GpuRelease>> = pinned

/** The folders that the installer may have filled; it fills the first. */
export function gpuFolders(engine: GpuEngine, env = process.env): string[] {
  return installFolders(join('gpu', `${engine}-${gpuReleases[engine].version}`), env)
}

/** The folder with all of an engine's files, where it was installed. */
export function installedGpu(engine: GpuEngine, folders = gpuFolders(engine)): string | undefined {
  return folders.find((folder) => isWhole(engine, folder))
}

export function isWhole(engine: GpuEngine, folder: string): boolean {
  const { library = '.' } = gpuReleases[engine]
  return existsSync(join(folder, INSTALLED_NOTE)) && existsSync(join(folder, library))
}

/** ONNX Runtime for CUDA, and where CUDA's libraries lie, where `subten gpu install --engine cuda` was run. */
export function installedCuda(): { readonly library: string; readonly libraryPath: string } | undefined {
  const folder = installedGpu('cuda')
  const { library = '', libraryPath = '' } = gpuReleases.cuda
  return folder === undefined ? undefined : { library: join(folder, library), libraryPath: join(folder, libraryPath) }
}
