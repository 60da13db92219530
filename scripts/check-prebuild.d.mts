/** The oldest glibc that the addons load on. */
export const BASELINE: string

/** Where node-gyp-build finds the addon of a target ('linux-x64'), relative to the root. */
export function prebuildFile(target: string): string

/** What is wrong with an addon for Linux, a line each; empty if it may be shipped. */
export function checkPrebuild(
  image: Buffer,
  options: { arch: string; baseline?: string; exported?: readonly string[] },
): string[]

export function isNewer(version: string, than: string): boolean
