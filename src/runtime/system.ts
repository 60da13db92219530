import { addon, addonPath } from './binding.js'

/** What `subten doctor` reports of the native side; `libraries` has paths by names of engines that do not find theirs. */
export async function systemInfo(libraries: { readonly [engine: string]: string } = {}): Promise<{
  addon: { path: string; version: string }
  engines: { name: string; available: boolean; version?: string; library?: string; error?: string }[]
  cpus: { online: number; affinity: number; quota: number | null; used: number; throttled: number }
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
  }
}
