// What a user reads where no addon loads, for platforms that this test says it runs on.
import { resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { Installed } from '../../../src/runtime/addon-file.js'
import { noAddon, type PlatformFacts, platformFacts } from '../../../src/runtime/no-addon.js'

const root = resolve(import.meta.dirname, '../../..')
const where: Installed = { folder: `${root}/dist`, root, bundled: false }
const cause = new Error('No native build was found for platform=…\n  loaded from …')
const on = (facts: PlatformFacts, place = where) => noAddon(place, '', cause, facts)

describe('without an addon', () => {
  it.each([
    ['win32', 'x64', undefined, /does not run on win32/, /WSL 2/],
    ['freebsd', 'x64', undefined, /does not run on freebsd/, /^Use Linux x64 and arm64 with glibc\.$/],
    ['linux', 'x64', undefined, /does not run on Linux without glibc \(musl\)/, /not node:24-alpine\.$/],
    ['linux', 'arm64', '2.27', /need glibc 2\.28, and this system has 2\.27/, /newer distribution.*build-native/],
    ['linux', 'ppc64', '2.36', /none is published for ppc64 processors/, /Use Linux x64 and arm64.*build-native/],
    ['darwin', 'arm64', undefined, /does not run on darwin/, /On macOS: a container\.$/],
  ])('on %s %s (glibc %s) the error says why, and what to do', (platform, arch, glibc, why, remedy) => {
    const error = on({ platform, arch, glibc })
    expect(error.code).toBe('UNSUPPORTED_PLATFORM')
    expect(error.message).toMatch(why)
    expect(error.message).toContain('No native build was found')
    expect(error.message).not.toContain('\n')
    expect(error.remedy).toMatch(remedy)
    expect(error.details).toMatchObject({ platform, arch })
    expect(error.cause).toBe(cause)
  })

  it.each(['2.28', '2.36', '3.0'])('where one is published (glibc %s), it says how to build it', (glibc) => {
    const error = on({ platform: 'linux', arch: 'arm64', glibc })
    expect(error.message).toMatch(/^the native addon for linux-arm64 cannot be loaded: No native build was found/)
    expect(error.remedy).toMatch(/^Build it: .*build-native\.mjs/)
  })

  it('building is not offered where the sources are not installed, or would not build', () => {
    const bundle = { folder: '/srv/app', root: undefined, bundled: true }
    expect(on({ platform: 'linux', arch: 'x64', glibc: undefined }, bundle).remedy).not.toContain('build-native')
    for (const platform of ['win32', 'darwin']) {
      expect(on({ platform, arch: 'x64', glibc: undefined }).remedy).not.toContain('build-native')
    }
    expect(on({ platform: 'linux', arch: 'x64', glibc: '2.36' }, bundle).remedy).toMatch(/--external:subten/)
  })

  it('the facts of this process are those that Node reports', () => {
    expect(platformFacts()).toMatchObject({ platform: process.platform, arch: process.arch })
    if (process.platform === 'linux') expect(platformFacts()).toHaveProperty('glibc')
  })
})
