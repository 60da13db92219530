import { spawn } from 'node:child_process'
import { appendFile, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build } from 'esbuild'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { DISK, type Disk } from '../../../src/sla/state-disk.js'
import { StateFile } from '../../../src/sla/state-file.js'

let folder = ''
let nth = 0
const fresh = (): string => join(folder, `state-${++nth}`)

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'subten-state-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

/** Opens, reads and closes. */
async function contents(path: string): Promise<{ events: number[]; warnings: string[] }> {
  const warnings: string[] = []
  const warn = (message: string): number => warnings.push(message)
  const { file, snapshot, deltas } = await StateFile.open<number[], number>(path, { warn })
  await file.close()
  return { events: [...(snapshot ?? []), ...deltas], warnings }
}

describe('a state file', () => {
  it('gives back what was appended, over restarts and compactions', async () => {
    const path = fresh()
    const all: number[] = []
    for (let restart = 0; restart < 4; restart++) {
      const { file, snapshot, deltas } = await StateFile.open<number[], number>(path)
      expect([...(snapshot ?? []), ...deltas]).toEqual(all)
      for (let i = 0; i < 5; i++) {
        all.push(all.length)
        await file.append(all.length - 1)
        if (restart === 2 && i === 2) await file.compact(all)
      }
      await file.close()
    }
    expect(await contents(path)).toEqual({ events: all, warnings: [] })
  })

  it('is refused to a second opener, in this process too, with what to do; and free again when it is closed', async () => {
    const path = fresh()
    const { file } = await StateFile.open(path)
    await expect(StateFile.open(path)).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('in use by another process'),
      remedy: expect.stringContaining('--sla-state'),
    })
    await file.close()
    expect((await contents(path)).events).toEqual([])
  })

  it('that cannot be opened is CONFIG_INVALID and says why', async () => {
    await expect(StateFile.open(join(folder, 'no', 'such', 'folder'))).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('ENOENT'),
    })
  })

  it('with a torn end loses the torn record alone, says so, and is whole again', async () => {
    const path = fresh()
    const { file } = await StateFile.open<number[], number>(path)
    for (const event of [1, 2, 3]) await file.append(event)
    await file.close()
    const whole = await readFile(path)
    await writeFile(path, whole.subarray(0, whole.length - 3))
    const torn = await contents(path)
    expect(torn.events).toEqual([1, 2])
    expect(torn.warnings).toHaveLength(1)
    expect(await contents(path)).toEqual({ events: [1, 2], warnings: [] })
  })

  it('that is damaged in the middle keeps the records around the damage, and warns', async () => {
    const path = fresh()
    const { file } = await StateFile.open<number[], number>(path)
    for (const event of [1, 2, 3]) await file.append(event)
    await file.close()
    const data = await readFile(path)
    const middle = data.length >> 1
    data[middle] = (data[middle] ?? 0) ^ 0x55
    await writeFile(path, data)
    const { events, warnings } = await contents(path)
    expect(events).toEqual([1, 3])
    expect(warnings[0]).toContain('events of that time are missing')
  })

  it('in which a part is there twice counts it once', async () => {
    const path = fresh()
    const { file } = await StateFile.open<number[], number>(path)
    for (const event of [1, 2]) await file.append(event)
    await file.close()
    await appendFile(path, await readFile(path))
    expect((await contents(path)).events).toEqual([1, 2])
  })

  it('stays bounded: when it is full a snapshot takes its place', async () => {
    const path = fresh()
    const { file } = await StateFile.open<number, number>(path, { compactBytes: 2000 })
    let largest = 0
    for (let i = 1; i <= 500; i++) {
      await file.append(1)
      if (file.full) await file.compact(i)
      largest = Math.max(largest, (await stat(path)).size)
    }
    expect(largest).toBeLessThan(2200)
    await file.close()
    const { file: again, snapshot, deltas } = await StateFile.open<number, number>(path)
    expect((snapshot ?? 0) + deltas.length).toBe(500)
    await again.close()
  })

  it('a write that fails is told, leaves nothing, and the next takes its place', async () => {
    const path = fresh()
    let fail = false
    const disk: Disk = {
      ...DISK,
      open: async (name, empty) => {
        const real = await DISK.open(name, empty)
        return {
          write: async (data, position) => {
            await real.write(fail ? data.subarray(0, 5) : data, position)
            if (fail) throw new Error('ENOSPC: no space left on device')
          },
          sync: () => real.sync(),
          truncate: (bytes) => real.truncate(bytes),
          read: () => real.read(),
          close: () => real.close(),
        }
      },
    }
    const { file } = await StateFile.open<number[], number>(path, { disk })
    await file.append(1)
    fail = true
    await expect(file.append(2)).rejects.toThrow('ENOSPC')
    fail = false
    await file.append(3)
    await file.close()
    expect(await contents(path)).toEqual({ events: [1, 3], warnings: [] })
  })
})

describe('kill -9 at every operation on the disk', () => {
  let program = ''
  beforeAll(async () => {
    program = join(folder, 'killed-writer.mjs')
    await build({
      entryPoints: ['test/unit/sla/killed-writer.ts'],
      outfile: program,
      bundle: true,
      platform: 'node',
      format: 'esm',
      target: 'node20',
      logLevel: 'error',
      external: ['node-gyp-build'],
      // Where the addon is looked for: as if it stood in the sources.
      define: { 'import.meta.url': JSON.stringify(new URL('../../../src/runtime/binding.ts', import.meta.url).href) },
    })
  })

  function write(path: string, killAt: number, when: string): Promise<{ out: string; signal: string | null }> {
    return new Promise((resolve, reject) => {
      const child = spawn(process.execPath, [program, path, String(killAt), when], {
        stdio: ['ignore', 'pipe', 'pipe'],
      })
      let out = ''
      let err = ''
      child.stdout.on('data', (chunk) => (out += chunk))
      child.stderr.on('data', (chunk) => (err += chunk))
      child.on('error', reject)
      child.on('close', (code, signal) =>
        code === 0 || signal === 'SIGKILL' ? resolve({ out, signal }) : reject(new Error(err)),
      )
    })
  }

  const numbers = (out: string, word: string): number[] =>
    [...out.matchAll(new RegExp(`^${word} (\\d+)$`, 'gm'))].map(([, n]) => Number(n))

  it('leaves exactly the acknowledged records, and at most the one on its way, whole', async () => {
    const path = fresh()
    const whole = await write(path, 0, 'never')
    const [operations = 0] = numbers(whole.out, 'operations')
    // Four appends of a write and a sync, two compactions, and what opening needs.
    expect(operations).toBeGreaterThan(4 * 2 + 2 * 4)
    for (let killAt = 1; killAt <= operations; killAt++) {
      for (const when of ['before', 'half', 'after']) {
        const state = fresh()
        const { out, signal } = await write(state, killAt, when)
        expect(signal, `${when} operation ${killAt}`).toBe('SIGKILL')
        const acknowledged = numbers(out, 'acknowledged')
        const underWay = numbers(out, 'writing').slice(acknowledged.length)
        const { events, warnings } = await contents(state)
        expect([acknowledged, [...acknowledged, ...underWay]], `${when} operation ${killAt}`).toContainEqual(events)
        // A record of which half was written is torn, and told of, unless it was to be a new file beside this one.
        expect(warnings.length).toBeLessThanOrEqual(when === 'half' ? 1 : 0)
        if (when !== 'half') continue
        // And the file serves the next process, which numbers on.
        const after = await write(state, 0, 'never')
        expect(after.out).toContain(`had ${events.join(' ')}\n`)
        expect((await contents(state)).events).toEqual(Array.from({ length: events.length + 4 }, (_, i) => i + 1))
      }
    }
  }, 240_000)
})
