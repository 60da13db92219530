import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { VersionPolicy } from './config-types.js'

/**
 * The versions that a model directory has: its directories named by a positive number without leading zeros,
 * lowest first. Everything else in it (`warmup`, labels, notes) is passed over.
 */
export async function findVersions(directory: string): Promise<number[]> {
  const versions: number[] = []
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    if (!/^[1-9]\d*$/.test(entry.name)) continue
    const version = Number(entry.name)
    if (!Number.isSafeInteger(version)) continue
    const isDirectory = entry.isSymbolicLink()
      ? await stat(join(directory, entry.name)).then(
          (status) => status.isDirectory(),
          () => false,
        )
      : entry.isDirectory()
    if (isDirectory) versions.push(version)
  }
  return versions.sort((left, right) => left - right)
}

/** The versions that a policy serves of those that exist, lowest first. */
export function selectVersions(existing: readonly number[], policy: VersionPolicy): number[] {
  if (policy.all) return [...existing]
  if (policy.specific) {
    const wanted = new Set(policy.specific.versions)
    return existing.filter((version) => wanted.has(version))
  }
  return existing.slice(-(policy.latest?.num_versions ?? 1))
}
