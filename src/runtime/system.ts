import { addon, addonPath, type NativeAddon } from './binding.js'

/** What the CUDA driver says; `error` where it does not start, or there is none. */
export interface CudaInfo {
  /** The CUDA version that the driver is made for, as 13.0. */
  readonly driver?: string
  readonly devices: readonly { ordinal: number; name: string; uuid: string; compute: string; memoryBytes: number }[]
  readonly error?: string
}

function cudaInfo(native: NativeAddon): { cuda?: CudaInfo } {
  const found = native.cudaDevices?.()
  if (found === undefined) return {}
  const { status, message, driver, devices } = found
  return {
    cuda: {
      ...(driver > 0 ? { driver: `${Math.floor(driver / 1000)}.${Math.floor((driver % 1000) / 10)}` } : {}),
      devices,
      ...(status === 0 ? {} : { error: message }),
    },
  }
}

/** What `subten doctor` reports of the native side; `libraries` has paths by names of engines that do not find theirs. */
export async function systemInfo(libraries: { readonly [engine: string]: string } = {}): Promise<{
  addon: { path: string; version: string }
  engines: { name: string; available: boolean; version?: string; library?: string; error?: string }[]
  cpus: { online: number; affinity: number; quota: number | null; used: number; throttled: number }
  cuda?: CudaInfo
}> {
  const native = addon()
  const cpus = native.cpus()
  return {
    addon: { path: addonPath(), version: native.version },
    engines: native.engines(libraries).map(({ name, version, library, status, message }) => ({
      name,
      available: status === 0,
      ...(version ? { version } : {}),
      ...(library ? { library } : {}),
      ...(status === 0 ? {} : { error: message }),
    })),
    cpus: { ...cpus, quota: cpus.quota > 0 ? cpus.quota : null },
    ...cudaInfo(native),
  }
}
