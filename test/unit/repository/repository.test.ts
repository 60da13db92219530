import { mkdirSync, mkdtempSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { readLabels } from '../../../src/repository/labels.js'
import { listModels, locate, warmupFile } from '../../../src/repository/repository.js'
import { rejection } from './thrown.js'

let root = ''
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'subten-repository-'))
})

/** Writes files below the repository and returns the path of the first part of the first name. */
function put(files: Record<string, string>): string {
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true })
    writeFileSync(join(root, name), content)
  }
  return join(root, Object.keys(files)[0]?.split('/')[0] ?? '')
}

describe('finding a model', () => {
  test('a directory without config.pbtxt is told by its file, and its highest version is taken', async () => {
    const path = put({ 'm/1/model.onnx': '', 'm/3/model.onnx': '', 'm/12/model.onnx': '', 'm/labels.txt': '' })
    const model = await locate(path)
    expect(model).toMatchObject({ name: 'm', version: 12, versions: [12], directory: path })
    expect(model.engine).toMatchObject({ engine: 'onnxruntime', backend: 'onnxruntime', filename: 'model.onnx' })
    expect(model.file).toMatch(/m\/12\/model\.onnx$/)
  })

  test('directories that are no versions are passed over', async () => {
    const path = put({
      'm/1/model.onnx': '',
      'm/02/model.onnx': '',
      'm/0/model.onnx': '',
      'm/-3/a': '',
      'm/4': '',
      'm/warmup/a': '',
    })
    expect(await locate(path)).toMatchObject({ version: 1, versions: [1] })
  })

  test.each([
    ['latest { num_versions: 2 }', 5, [3, 5]],
    ['all { }', 5, [1, 3, 5]],
    ['specific { versions: [ 3, 1, 9 ] }', 3, [1, 3]],
  ])('version_policy { %s } serves version %i of %j', async (policy, version, versions) => {
    const path = put({
      'm/config.pbtxt': `backend: "onnxruntime" version_policy { ${policy} }`,
      'm/1/model.onnx': '',
      'm/3/model.onnx': '',
      'm/5/model.onnx': '',
    })
    expect(await locate(path)).toMatchObject({ version, versions })
  })

  test('the version asked for is taken, also one that the policy does not serve', async () => {
    const path = put({ 'm/1/model.onnx': '', 'm/2/model.onnx': '' })
    expect((await locate(path, { version: 1 })).version).toBe(1)
    expect((await locate(path, { version: '1' })).version).toBe(1)
  })

  test.each([7, 0, -1, 1.5, '01', '../1', 'latest'])(
    'version %j is MODEL_NOT_FOUND and the versions there are named',
    async (version) => {
      const path = put({ 'm/1/model.onnx': '', 'm/2/model.onnx': '' })
      const error = await rejection(locate(path, { version }))
      expect(error.code).toBe('MODEL_NOT_FOUND')
      expect(error.message).toContain(`no version ${version}; its versions are 1, 2`)
    },
  )

  test('a policy that no version fits says which there are', async () => {
    const path = put({
      'm/config.pbtxt': 'version_policy { specific { versions: 9 } } backend: "onnxruntime"',
      'm/1/model.onnx': '',
    })
    const error = await rejection(locate(path))
    expect(error.code).toBe('MODEL_NOT_FOUND')
    expect(error.message).toContain('asks for 9, but the versions are 1')
  })

  test('a lone model file is version 1, named by its file', async () => {
    const path = put({ 'my model.onnx': '' })
    expect(await locate(path)).toMatchObject({
      name: 'my_model',
      version: 1,
      versions: [1],
      file: path,
      engine: { engine: 'onnxruntime' },
    })
    expect((await rejection(locate(path, { version: 2 }))).code).toBe('MODEL_NOT_FOUND')
  })

  test('overrides are part of what is written', async () => {
    const path = put({ 'm/config.pbtxt': 'max_batch_size: 2', 'm/1/other.onnx': '' })
    const model = await locate(path, { overrides: { backend: 'onnxruntime', default_model_filename: 'other.onnx' } })
    expect(model.file).toMatch(/other\.onnx$/)
    expect(model.document.fields.max_batch_size).toBe(2)
  })

  test.each([
    ['backend: "onnxruntime"', 'onnxruntime'],
    ['backend: "onnxruntime_onnx"', 'onnxruntime'],
    ['platform: "onnxruntime_onnx"', 'onnxruntime'],
    ['default_model_filename: "model.onnx"', 'onnxruntime'],
    ['backend: "subten_null"', 'null'],
    ['backend: "python"', 'triton'],
    ['platform: "tensorrt_plan"', 'tensorrt'],
    ['backend: "tensorrt" parameters { key: "subten.engine" value { string_value: "\\"triton\\"" } }', 'triton'],
    ['platform: "ensemble" ensemble_scheduling { step { model_name: "a" } }', 'triton'],
    ['backend: "constructor"', 'triton'],
  ])('%s runs on the engine %s', async (config, engine) => {
    const path = put({ 'm/config.pbtxt': config, 'm/1/model.onnx': '', 'm/1/model.plan': '' })
    expect((await locate(path)).engine.engine).toBe(engine)
  })

  test('the null engine needs neither a file nor a version directory', async () => {
    const path = put({ 'm/config.pbtxt': 'backend: "subten_null"' })
    expect(await locate(path)).toMatchObject({ version: 1, versions: [1] })
    expect((await rejection(locate(path, { version: 2 }))).code).toBe('MODEL_NOT_FOUND')
  })
})

describe('a model that cannot be found', () => {
  test('a path that is not there suggests its nearest neighbour', async () => {
    put({ 'digits/1/model.onnx': '' })
    const error = await rejection(locate(join(root, 'digts')))
    expect(error.code).toBe('MODEL_NOT_FOUND')
    expect(error.message).toContain('did you mean "digits"?')
  })

  test('a directory that is no model says what is missing, and knows a version directory', async () => {
    const path = put({ 'm/1/model.onnx': '' })
    expect((await rejection(locate(root))).message).toContain('neither config.pbtxt nor a version directory')
    expect((await rejection(locate(join(path, '1')))).remedy).toContain('or the directory of the model around it')
  })

  test('a version without the model file says what the directory holds', async () => {
    const path = put({ 'm/config.pbtxt': 'backend: "onnxruntime"', 'm/1/weights.bin': '' })
    const error = await rejection(locate(path))
    expect(error.code).toBe('MODEL_NOT_FOUND')
    expect(error.message).toMatch(/no .*1\/model\.onnx; the directory holds weights\.bin/)
  })

  test('a model without version directories says where to put the file', async () => {
    const path = put({ 'm/config.pbtxt': 'backend: "onnxruntime"' })
    expect((await rejection(locate(path))).remedy).toContain(join(path, '1'))
  })

  test('a model that no engine is named for is MODEL_INVALID, or CONFIG_INVALID with its file', async () => {
    expect((await rejection(locate(put({ 'a/1/weights.bin': '' })))).code).toBe('MODEL_INVALID')
    const error = await rejection(locate(put({ 'b/config.pbtxt': 'max_batch_size: 1', 'b/1/weights.bin': '' })))
    expect(error.code).toBe('CONFIG_INVALID')
    expect(error.message).toContain('config.pbtxt:1: backend: ')
  })

  test('a file of another kind, and a directory whose name is not safe, are MODEL_INVALID', async () => {
    expect((await rejection(locate(put({ 'model.txt': '' })))).code).toBe('MODEL_INVALID')
    expect((await rejection(locate(put({ 'a b/1/model.onnx': '' })))).code).toBe('MODEL_INVALID')
  })

  test('a wrong config.pbtxt is named by the path that was given', async () => {
    const path = put({ 'm/config.pbtxt': '\nmax_batch: 1', 'm/1/model.onnx': '' })
    expect((await rejection(locate(path))).message).toMatch(`${path}/config.pbtxt:2: max_batch: unknown field`)
  })
})

describe('files that a configuration names', () => {
  test('a model file that is a link out of the directory is refused, one inside is taken', async () => {
    const outside = put({ 'secret.onnx': '' })
    const path = put({ 'm/config.pbtxt': 'backend: "onnxruntime"', 'm/shared/real.onnx': '', 'm/1/x': '', 'm/2/x': '' })
    symlinkSync(outside, join(path, '1', 'model.onnx'))
    symlinkSync(join(path, 'shared/real.onnx'), join(path, '2', 'model.onnx'))
    expect((await locate(path, { version: 2 })).file).toMatch(/real\.onnx$/)
    const error = await rejection(locate(path, { version: 1 }))
    expect(error.code).toBe('CONFIG_INVALID')
    expect(error.message).toContain('leads out of the model directory')
  })

  test('labels are read line by line', async () => {
    const path = put({ 'm/labels.txt': 'zero\r\none\n\nthree\n' })
    expect(await readLabels(path, 'labels.txt')).toEqual(['zero', 'one', '', 'three'])
  })

  test.each(['../secret.txt', '/etc/passwd', 'link.txt', 'none.txt', '.', '', 'a/../../secret.txt'])(
    'the label file %j is refused',
    async (name) => {
      put({ 'secret.txt': 'secret' })
      const path = put({ 'm/labels.txt': 'a' })
      symlinkSync(join(root, 'secret.txt'), join(path, 'link.txt'))
      const error = await rejection(readLabels(path, name, 2))
      expect(error.code).toBe('CONFIG_INVALID')
      expect(error.details.field).toBe('output[2].label_filename')
      expect(error.message).not.toContain(`${'secret'}\n`)
    },
  )

  test('warm-up data lies in warmup/ and nowhere else', async () => {
    const path = put({ 'm/warmup/raw': 'x', 'm/other': 'y' })
    expect(await warmupFile(path, 'raw', {})).toMatch(/warmup\/raw$/)
    expect((await rejection(warmupFile(path, '../other', {}))).code).toBe('CONFIG_INVALID')
    expect((await rejection(warmupFile(path, 'none', { line: 4 }))).details.line).toBe(4)
  })
})

describe('listing a repository', () => {
  test('every directory is a model or carries its error; files and hidden directories are passed over', async () => {
    put({
      'good/1/model.onnx': '',
      'broken/config.pbtxt': 'nmae: "x"',
      'empty/readme.txt': '',
      '.git/1/model.onnx': '',
      'README.md': '',
    })
    const listed = await listModels(root)
    expect(listed.map(({ name, model, error }) => [name, model?.version ?? error?.code])).toEqual([
      ['broken', 'CONFIG_INVALID'],
      ['empty', 'MODEL_NOT_FOUND'],
      ['good', 1],
    ])
  })

  test('a repository that is not there is MODEL_NOT_FOUND', async () => {
    expect((await rejection(listModels(join(root, 'none')))).code).toBe('MODEL_NOT_FOUND')
  })
})
