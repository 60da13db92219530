import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { SystemInfo } from '../../../src/cli/context.js'
import { hostFacts } from '../../../src/cli/host-facts.js'
import { tritonFacts, tritonRows } from '../../../src/cli/triton-facts.js'
import { subten } from './running-cli.js'

const system = (available: boolean): SystemInfo => ({
  addon: { path: 'prebuilds/linux-x64/subten.node', version: '0.1.0' },
  engines: [
    {
      name: 'onnxruntime',
      available,
      version: '1.30.0',
      library: 'lib.so',
      error: available ? undefined : 'not installed',
    },
    { name: 'null', available: true },
  ],
  cpus: { online: 2, affinity: 2, quota: null, used: 2 },
})

describe('subten doctor', () => {
  it('exits with 0 when the default engine works', async () => {
    const ran = await subten(['doctor'], { system: system(true) })
    expect(ran.code).toBe(0)
    expect(ran.out).toMatch(/onnxruntime\s+1\.30\.0 \(lib\.so\)/)
    expect(ran.out).toContain('2 used of 2 online')
    expect(JSON.parse((await subten(['doctor', '--json'], { system: system(true) })).out)).toMatchObject({
      host: { node: process.version },
      engines: [{ name: 'onnxruntime', available: true }, { name: 'null' }],
    })
  })

  it('exits with 1 and says what to do when it does not', async () => {
    const ran = await subten(['doctor'], { system: system(false) })
    expect(ran).toMatchObject({ code: 1, out: expect.stringContaining('npm install @subten/onnxruntime') })
  })

  it('shows the devices of the CUDA driver, and says nothing of CUDA where there is neither GPU nor driver', async () => {
    const device = { ordinal: 0, name: 'NVIDIA H100', uuid: 'GPU-1', compute: '9.0', memoryBytes: 80 * 2 ** 30 }
    const shown = await subten(['doctor'], { system: { ...system(true), cuda: { driver: '13.0', devices: [device] } } })
    expect(shown.out).toMatch(/cuda\s+driver for CUDA 13\.0/)
    expect(shown.out).toMatch(/cuda:0\s+NVIDIA H100 \(compute 9\.0, 80\.0 GiB\)/)
    const none = { devices: [], error: 'This machine has no CUDA driver' }
    const quiet = await subten(['doctor'], { system: { ...system(true), cuda: none } })
    expect(quiet.out.includes('no CUDA driver')).toBe(hostFacts().gpu !== undefined)
  })

  it('works without the addon', async () => {
    const ran = await subten(['doctor'], { system: new Error('no native build was found\nmore lines') })
    expect(ran).toMatchObject({ code: 1, out: expect.stringContaining('does not load: no native build was found') })
    expect(ran.out).toContain('npm run build')
    expect(JSON.parse((await subten(['doctor', '--json'], { system: new Error('no') })).out)).toMatchObject({
      problem: 'no',
    })
  })
})

describe('what doctor says of Triton', () => {
  const tree = (...files: string[]): string => {
    const root = mkdtempSync(join(tmpdir(), 'subten-triton-'))
    for (const file of files) {
      mkdirSync(dirname(join(root, file)), { recursive: true })
      writeFileSync(join(root, file), '')
    }
    return root
  }

  it('names the library, its backends and what the Python backend lacks', () => {
    const root = tree('lib/libtritonserver.so', 'backends/python/libtriton_python.so', 'backends/empty/readme')
    const facts = tritonFacts(root)
    expect(facts).toMatchObject({
      library: join(root, 'lib/libtritonserver.so'),
      backendDirectory: join(root, 'backends'),
      backends: ['python'],
      pythonBackend: 'the Python backend has no stub',
      advice: [expect.stringContaining('npm run triton:install')],
    })
    expect(tritonRows(facts).map(([name]) => name)).toEqual(['library', 'backends', 'python'])
  })

  it('says where it looked for a library that is named and not there', () => {
    const facts = tritonFacts('/nowhere/libtritonserver.so')
    expect(facts.looked).toEqual(['/nowhere/libtritonserver.so'])
    expect(facts.advice).toEqual([expect.stringContaining('/nowhere/libtritonserver.so')])
    expect(tritonRows(facts)).toContainEqual(['library', 'not found'])
  })
})

describe('host facts', () => {
  const machine = (files: Record<string, string>): string => {
    const root = `${mkdtempSync(join(tmpdir(), 'subten-host-'))}/`
    for (const [path, content] of Object.entries(files)) {
      mkdirSync(dirname(root + path), { recursive: true })
      writeFileSync(root + path, content)
    }
    return root
  }

  it('come from cgroup version 2', () => {
    const root = machine({
      'proc/cpuinfo': 'model name\t: A processor\nflags\t\t: fpu avx2 avx512f avx512_vnni amx_int8\n',
      'proc/self/status': 'Name:\tnode\nCpus_allowed_list:\t0-3\n',
      'proc/self/cgroup': '0::/box\n',
      'sys/fs/cgroup/box/cpu.max': '150000 100000\n',
      'sys/fs/cgroup/box/cpu.stat': 'nr_periods 10\nnr_throttled 7\nthrottled_usec 2500\n',
      'proc/driver/nvidia/version': 'NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54  Thu\n',
    })
    expect(hostFacts(root)).toMatchObject({
      cpu: { model: 'A processor', features: ['avx2', 'avx512f', 'avx512_vnni', 'amx_int8'] },
      affinity: '0-3',
      cgroup: { quotaCpus: 1.5, throttled: 7, throttledMs: 3 },
      gpu: expect.stringContaining('NVIDIA'),
    })
  })

  it('have the smallest quota and the most throttled level between the cgroup and the root', () => {
    const root = machine({
      'proc/self/cgroup': '5:memory:/m\n4:cpu,cpuacct:/a/b\n0::/v/w\n',
      'sys/fs/cgroup/v/cpu.max': '300000 100000\n',
      'sys/fs/cgroup/v/w/cpu.max': 'max 100000\n',
      'sys/fs/cgroup/cpu/a/cpu.cfs_quota_us': '150000\n',
      'sys/fs/cgroup/cpu/a/cpu.stat': 'nr_throttled 3\nthrottled_time 4200000\n',
      'sys/fs/cgroup/cpu/a/b/cpu.cfs_quota_us': '200000\n',
      'sys/fs/cgroup/cpu/a/b/cpu.stat': 'nr_throttled 0\nthrottled_time 0\n',
    })
    expect(hostFacts(root).cgroup).toEqual({ quotaCpus: 1.5, throttled: 3, throttledMs: 4 })
  })

  it('come from cgroup version 1, and may all be missing', () => {
    const root = machine({
      'proc/self/cgroup': '4:cpu,cpuacct:/box\n',
      'sys/fs/cgroup/cpu/box/cpu.cfs_quota_us': '50000\n',
      'sys/fs/cgroup/cpu/box/cpu.cfs_period_us': '100000\n',
    })
    expect(hostFacts(root).cgroup).toEqual({ quotaCpus: 0.5 })
    expect(hostFacts(machine({}))).toMatchObject({ cgroup: {}, gpu: undefined, cpu: { features: [] } })
  })
})
