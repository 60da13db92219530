import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type LatencyFacts, LatencyFile } from '../../../src/load/latency-file.js'
import { cacheDirectory } from '../../../src/runtime/cache-directory.js'
import { fakedScheduling } from '../runtime/faked-scheduling.js'
import { loaded } from '../runtime/loaded.js'

let cache: string
beforeEach(async () => {
  cache = await mkdtemp(join(tmpdir(), 'subten-cache-'))
})
afterEach(async () => {
  vi.useRealTimers()
  await rm(cache, { recursive: true, force: true })
})

const facts: LatencyFacts = {
  engine: 'onnxruntime',
  library: '0.1.0 /lib/onnxruntime.so 10 1',
  file: '/m/1/model.onnx 100 5',
  parameters: [],
  instances: 1,
  maxBatchSize: 8,
  deterministic: false,
}

describe('where latencies are kept', () => {
  it('is the option, or the cache of the user', () => {
    expect(cacheDirectory(false, { SUBTEN_CACHE_DIR: '/a' })).toBeUndefined()
    expect(cacheDirectory('/o', { SUBTEN_CACHE_DIR: '/a' })).toBe('/o')
    expect(cacheDirectory(undefined, { SUBTEN_CACHE_DIR: '/a', XDG_CACHE_HOME: '/x' })).toBe('/a')
    expect(cacheDirectory(undefined, { XDG_CACHE_HOME: '/x' })).toBe('/x/subten')
    expect(cacheDirectory(undefined, {})).toBe(join(homedir(), '.cache', 'subten'))
  })

  it('is another file for another model, engine or size', () => {
    const changes: Partial<LatencyFacts>[] = [
      {},
      { engine: 'null' },
      { library: '0.1.0 /lib/onnxruntime.so 10 2' },
      { file: '/m/1/model.onnx 101 5' },
      { parameters: [['busy_us', '5']] },
      { instances: 2 },
      { maxBatchSize: 16 },
      { deterministic: true },
      { devices: ['cuda'] },
    ]
    const paths = changes.map((change) => new LatencyFile(cache, { ...facts, ...change }).path)
    expect(new Set(paths).size).toBe(changes.length)
    expect(new LatencyFile(cache, { ...facts }).path).toBe(paths[0])
  })
})

describe('the file of a model', () => {
  it('is read back by the next process, and leaves nothing else behind', async () => {
    const table = '{"rows":[1,2]}'
    const file = new LatencyFile(cache, facts)
    expect(await file.read()).toBe('')
    await Promise.all([file.save('{}'), file.close(table)])
    expect(await new LatencyFile(cache, facts).read()).toBe(table)
    expect(await readdir(join(cache, 'latency'))).toEqual([file.path.split('/').at(-1)])
  })

  it.each<[string, (text: string) => string]>([
    ['nothing', () => ''],
    ['half of it', (text) => text.slice(0, text.length >> 1)],
    ['other JSON', () => '[1, 2]'],
    ['null', () => 'null'],
    ['another format', (text) => text.replace('latency-1', 'latency-0')],
    ['the file of another model', (text) => text.replace(/"key":"./, '"key":"x')],
    ['no table', (text) => text.replace('"table"', '"tables"')],
    ['too much', (text) => text + ' '.repeat(1 << 20)],
  ])('is as if it were not there when it holds %s', async (_, spoil) => {
    const file = new LatencyFile(cache, facts)
    await file.save('{"a":1}')
    await writeFile(file.path, spoil(await readFile(file.path, 'utf8')))
    expect(await new LatencyFile(cache, facts).read()).toBe('')
    // And is replaced by the next one.
    await new LatencyFile(cache, facts).save('{"b":2}')
    expect(await new LatencyFile(cache, facts).read()).toBe('{"b":2}')
  })

  it('may be a directory, or in a place where nothing can be written, and nothing happens', async () => {
    const file = new LatencyFile(cache, facts)
    await mkdir(file.path, { recursive: true })
    expect(await file.read()).toBe('')
    await file.save('{"a":1}')
    expect(await readdir(join(cache, 'latency'))).toHaveLength(1)
    await writeFile(join(cache, 'plain'), '')
    const nowhere = new LatencyFile(join(cache, 'plain'), facts)
    await nowhere.save('{"a":1}')
    expect(await nowhere.read()).toBe('')
  })

  it('replaces a link instead of writing through it', async () => {
    const file = new LatencyFile(cache, facts)
    await mkdir(join(cache, 'latency'))
    await writeFile(join(cache, 'precious'), 'mine')
    await symlink(join(cache, 'precious'), file.path)
    await file.save('{"a":1}')
    expect(await readFile(join(cache, 'precious'), 'utf8')).toBe('mine')
    expect(await file.read()).toBe('{"a":1}')
  })

  it('is written every minute while there is something new, and no longer when the model is gone', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    const file = new LatencyFile(cache, facts)
    const save = vi.spyOn(file, 'save')
    let table: string | undefined = '{"a":1}'
    file.keep(() => table)
    vi.advanceTimersByTime(59_000)
    expect(save).not.toHaveBeenCalled()
    vi.advanceTimersByTime(1000)
    expect(save).toHaveBeenCalledOnce()
    table = undefined
    vi.advanceTimersByTime(60_000)
    expect(vi.getTimerCount()).toBe(0)
    expect(save).toHaveBeenCalledOnce()
  })
})

describe('load(path, { slo })', () => {
  it('gives the core what the process before has learned, and what was measured where there is none', async () => {
    const faked = fakedScheduling()
    const options = { slo: { p99Ms: 5 }, latencyCache: cache }
    const model = await loaded('models/echo', options)
    faked.table = '{"learned":true}'
    await model.close()
    await loaded('models/echo', options)
    await loaded('models/echo', { ...options, parameters: { busy_us: 7 } })
    const measured = expect.stringMatching(/^subten-latency\/1 0:1:\d+:\d+;.*0:64:\d+:\d+;$/)
    expect(faked.cores.map(({ latencyTable }) => latencyTable)).toEqual([measured, '{"learned":true}', measured])
  })

  it('reads and writes nothing where latencyCache is false, and without slo', async () => {
    vi.stubEnv('SUBTEN_CACHE_DIR', cache)
    const faked = fakedScheduling()
    faked.table = '{}'
    await (await loaded('models/echo', { slo: { p99Ms: 5 }, latencyCache: false })).close()
    await (await loaded('models/echo')).close()
    expect(await readdir(cache)).toEqual([])
    await (await loaded('models/echo', { slo: { p99Ms: 5 } })).close()
    expect(await readdir(cache)).toEqual(['latency'])
    vi.unstubAllEnvs()
  })
})
