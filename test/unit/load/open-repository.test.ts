import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openRepository } from '../../../src/load/open-repository.js'
import type { Repository, RepositoryLoadOptions, RepositoryOptions } from '../../../src/runtime/types.js'
import { rejection, thrown } from '../repository/thrown.js'
import { row } from '../runtime/loaded.js'

let directory = ''
const open: Repository[] = []
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'subten-repository-'))
  for (const name of ['echo', 'digits']) await symlink(resolve('models', name), join(directory, name))
  await mkdir(join(directory, 'broken/1'), { recursive: true })
  await writeFile(join(directory, 'broken/config.pbtxt'), 'max_batch_size: "many"')
  await mkdir(join(directory, 'bad/1'), { recursive: true })
  await writeFile(join(directory, 'bad/1/model.onnx'), 'no model')
})
afterEach(async () => {
  await Promise.all(open.splice(0).map((repository) => repository.close()))
  await rm(directory, { recursive: true, force: true })
})

async function opened(options?: RepositoryOptions): Promise<Repository> {
  const repository = await openRepository(directory, options)
  open.push(repository)
  return repository
}

const state = (repository: Repository, name: string): object | undefined =>
  repository.index().find((entry) => entry.name === name)

describe('index()', () => {
  it('lists every model with its engine, its version and why it cannot be used', async () => {
    const repository = await opened()
    expect(repository.index()).toMatchObject([
      { name: 'bad', version: '1', state: 'UNLOADED', reason: '', engine: 'onnxruntime' },
      { name: 'broken', version: '', state: 'UNAVAILABLE', reason: expect.stringContaining('max_batch_size') },
      { name: 'digits', version: '1', state: 'UNLOADED', reason: '', engine: 'onnxruntime' },
      { name: 'echo', version: '1', state: 'UNLOADED', reason: '', engine: 'null' },
    ])
    expect(repository.path).toBe(directory)
  })

  it('follows what comes and goes', async () => {
    const repository = await opened()
    await symlink(resolve('models/mlp'), join(directory, 'mlp'))
    await rm(join(directory, 'bad'), { recursive: true })
    expect(repository.index().map(({ name }) => name)).toEqual(['broken', 'digits', 'echo', 'mlp'])
    await repository.load('mlp')
    expect(state(repository, 'mlp')).toMatchObject({ state: 'READY', version: '1', engine: 'onnxruntime' })
  })
})

describe('load() and unload()', () => {
  it('make a model ready and close it, drained', async () => {
    const repository = await opened()
    const loading = repository.load('echo', { parameters: { busy_us: 20_000 } })
    await Promise.resolve()
    const model = await loading
    expect(repository.model('echo')).toBe(model)
    expect(state(repository, 'echo')).toMatchObject({ state: 'READY' })
    const running = model.infer(row(3))
    await repository.unload('echo')
    expect((await running).output?.data).toEqual(row(3).input)
    expect(model.closed).toBe(true)
    expect(state(repository, 'echo')).toMatchObject({ state: 'UNLOADED', reason: '' })
    await repository.unload('echo')
    expect(thrown(() => repository.model('echo'))).toMatchObject({
      code: 'MODEL_NOT_FOUND',
      message: expect.stringContaining('unloaded'),
      remedy: expect.stringContaining("load('echo')"),
    })
  })

  it('lay config and options over those of the repository and of the file', async () => {
    const repository = await opened({ memoryMb: 8, max_batch_size: 16 })
    expect((await repository.load('echo')).maxBatchSize).toBe(16)
    const model = await repository.load('echo', { config: { max_batch_size: 2 } })
    expect(model.maxBatchSize).toBe(2)
    expect(model.stats().memory.bytes).toBe(8 * 1024 * 1024)
  })

  it('load anew: the model before serves until the next is ready, also when that fails', async () => {
    const repository = await opened()
    const first = await repository.load('echo')
    const second = await repository.load('echo')
    expect([first.closed, second.closed]).toEqual([true, false])
    expect(await rejection(repository.load('echo', { config: { max_batch_size: -1 } }))).toMatchObject({
      code: 'CONFIG_INVALID',
    })
    expect(repository.model('echo')).toBe(second)
    expect(state(repository, 'echo')).toMatchObject({ state: 'READY', reason: '' })
  })

  it('of one model come one after another', async () => {
    const repository = await opened()
    const models = await Promise.all([repository.load('digits'), repository.load('digits'), repository.load('digits')])
    await repository.unload('digits')
    expect(models.map(({ closed }) => closed)).toEqual([true, true, true])
  })

  it('that fail leave the reason in the index, and other models alone', async () => {
    const repository = await opened()
    await repository.load('digits')
    expect(await rejection(repository.load('bad'))).toMatchObject({ code: 'MODEL_INVALID' })
    expect(await rejection(repository.load('broken'))).toMatchObject({ code: 'CONFIG_INVALID' })
    expect(state(repository, 'bad')).toMatchObject({
      state: 'UNAVAILABLE',
      reason: expect.stringContaining('model.onnx'),
    })
    expect(thrown(() => repository.model('bad')).message).toContain('model.onnx')
    expect(repository.model('digits').closed).toBe(false)
  })

  it('of a name that is not there are MODEL_NOT_FOUND with a near one', async () => {
    const repository = await opened()
    for (const name of ['digit', '../echo', '', '.', 'echo/1']) {
      const error = await rejection(repository.load(name))
      expect(error).toMatchObject({ code: 'MODEL_NOT_FOUND', remedy: expect.stringContaining('index()') })
    }
    expect((await rejection(repository.unload('digit'))).message).toContain('digits')
  })

  it.each<[RepositoryLoadOptions, string, RegExp]>([
    [{ config: 5 as never }, 'CONFIG_INVALID', /config: must be an object/],
    [{ files: [] as never }, 'CONFIG_INVALID', /files: must be an object/],
    [{ files: { '../x': new Uint8Array(1) } }, 'CONFIG_INVALID', /inside the directory/],
    [{ files: { '1/model.py': 'text' as never } }, 'CONFIG_INVALID', /must be a Uint8Array/],
    [{ files: { '1/model.onnx': new Uint8Array(1) } }, 'NOT_SUPPORTED', /not Triton's/],
    [{ config: { unknown: 5 } }, 'CONFIG_INVALID', /unknown option/],
  ])('with options that are wrong (%#) say so', async (options, code, message) => {
    const repository = await opened()
    const error = await rejection(repository.load('echo', options))
    expect(error.code).toBe(code)
    expect(error.message).toMatch(message)
  })
})

it('metadata and config are there for every engine, statistics are Triton’s', async () => {
  const repository = await opened()
  await repository.load('digits')
  expect(await repository.metadata('digits')).toMatchObject({
    name: 'digits',
    versions: ['1'],
    platform: expect.stringContaining('onnxruntime'),
    inputs: [{ name: 'image', datatype: 'FP32' }],
  })
  expect(await repository.config('digits')).toMatchObject({ name: 'digits' })
  expect(await rejection(repository.statistics('digits'))).toMatchObject({ code: 'NOT_SUPPORTED' })
  expect([await repository.live(), await repository.ready(), await repository.metricsText()]).toEqual([true, true, ''])
})

it('close() unloads everything, and ends the repository', async () => {
  const repository = await opened()
  const model = await repository.load('echo')
  const loading = repository.load('digits').catch((error: unknown) => error)
  const running = model.infer(row(1))
  await repository[Symbol.asyncDispose]()
  expect((await running).output?.data).toEqual(row(1).input)
  expect(model.closed).toBe(true)
  // It was on its way: it is closed as well, or was refused.
  const late = await loading
  expect(late instanceof Error ? (late as { code?: string }).code : (late as { closed: boolean }).closed).toBeTruthy()
  expect(await rejection(repository.load('echo'))).toMatchObject({ code: 'MODEL_CLOSED' })
  expect([await repository.live(), await repository.ready()]).toEqual([false, false])
})

it('a directory that is not there is MODEL_NOT_FOUND, a wrong argument is refused', async () => {
  expect(await rejection(openRepository('/nowhere'))).toMatchObject({ code: 'MODEL_NOT_FOUND' })
  expect(await rejection(openRepository(5 as never))).toMatchObject({ code: 'INVALID_INPUT' })
  expect(await rejection(openRepository('models', null as never))).toMatchObject({ code: 'CONFIG_INVALID' })
  expect(await rejection(openRepository('models', { triton: { control: 'x' as 'poll' } }))).toMatchObject({
    code: 'CONFIG_INVALID',
  })
})
