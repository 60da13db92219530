import { readFileSync } from 'node:fs'
import { afterEach, expect, it } from 'vitest'
import { openRepository } from '../../src/load/open-repository.js'
import type { Repository } from '../../src/runtime/types.js'
import { ModelHost } from '../../src/server/model-host.js'
import { rejection } from '../unit/repository/thrown.js'
import { serving } from '../unit/server/running-server.js'
import { addSub, firstOf, REPOSITORY, triton, withTriton } from './triton.js'

const open: Repository[] = []
afterEach(async () => {
  await Promise.all(open.splice(0).map((repository) => repository.close()))
})

async function repository(): Promise<Repository> {
  const opened = await openRepository(REPOSITORY)
  open.push(opened)
  return opened
}

withTriton('a repository', ['add_sub_py'], () => {
  it('loads, describes, measures and unloads', async () => {
    const repo = await repository()
    const model = await repo.load('add_sub_py')
    expect(firstOf(await model.infer(addSub(2, 3)), 'OUTPUT0')).toBe(5)
    expect(repo.index().find(({ name }) => name === 'add_sub_py')).toMatchObject({ state: 'READY', engine: 'triton' })
    expect(await repo.metadata('add_sub_py')).toMatchObject({ name: 'add_sub_py', platform: 'python' })
    expect(await repo.config('add_sub_py')).toMatchObject({ name: 'add_sub_py', backend: 'python' })
    expect(await repo.statistics('add_sub_py')).toMatchObject({ model_stats: [{ name: 'add_sub_py' }] })
    expect(await repo.metricsText()).toContain('nv_inference_count')
    expect([await repo.live(), await repo.ready()]).toEqual([true, true])
    await repo.unload('add_sub_py')
    expect(model.closed).toBe(true)
    expect(firstOf(await (await repo.load('add_sub_py')).infer(addSub(2, 3)), 'OUTPUT1')).toBe(-1)
  })

  it('drains what is in flight when a model is unloaded', async () => {
    const repo = await repository()
    const model = await repo.load('add_sub_py')
    const running = Array.from({ length: 100 }, (_, i) => model.infer(addSub(i, 1)))
    await repo.unload('add_sub_py')
    const all = await Promise.all(running)
    expect(all.map((each) => firstOf(each, 'OUTPUT0'))).toEqual(all.map((_, i) => i + 1))
  })

  it('lays settings over those of the file', async () => {
    const repo = await repository()
    const model = await repo.load('add_sub_py', { config: { instance_group: [{ count: 2, kind: 'KIND_CPU' }] } })
    expect(await repo.config('add_sub_py')).toMatchObject({ instance_group: [{ count: 2 }] })
    expect(firstOf(await model.infer(addSub(2, 3)), 'OUTPUT0')).toBe(5)
  })

  it('takes files instead of those in the directory', async () => {
    const repo = await repository()
    const source = readFileSync(`${REPOSITORY}/add_sub_py/1/model.py`, 'utf8')
    const files = { '1/model.py': Buffer.from(source.replace(/in_0 \+ in_1|a \+ b/, '(in_0 + in_1)')) }
    const model = await repo.load('add_sub_py', { files })
    expect(model.closed).toBe(false)
  })
})

withTriton('the server', ['add_sub_py'], () => {
  it('has Triton’s metrics beside ours, each family once', async () => {
    const model = await triton('add_sub_py')
    const { url } = await serving(ModelHost.of(model))
    await model.infer(addSub(1, 2))
    const text = await (await fetch(`${url}/metrics`)).text()
    expect(text).toContain('subten_stage_seconds{model="add_sub_py",version="1",stage="tritonCompute"')
    expect(text).toMatch(/nv_cpu_utilization|nv_energy|nv_pinned_memory|nv_inference_load/)
    const types = text.match(/^# TYPE \S+/gm) ?? []
    expect(new Set(types).size).toBe(types.length)
  })
})

withTriton('options that contradict the running server', ['add_sub_py'], () => {
  it('are CONFIG_INVALID while it runs', async () => {
    const model = await triton('add_sub_py')
    const error = await rejection(triton('add_sub_py', { triton: { rateLimiter: 'execution_count' } }))
    expect(error).toMatchObject({ code: 'CONFIG_INVALID', message: expect.stringContaining('rate_limiter') })
    await model.close()
  })
})
