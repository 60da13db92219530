// What goes wrong where OpenVINO is not, and where the process has another ONNX Runtime. In a process of its own: the
// first load binds it.
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { load } from '../../src/load/load.js'
import { installed, onnxruntimeFile } from '../../src/runtime/addon-file.js'
import { addon } from '../../src/runtime/binding.js'
import type { Model } from '../../src/runtime/types.js'

const folder = mkdtempSync(join(tmpdir(), 'subten-openvino-'))
const defaultLibrary = onnxruntimeFile(installed())
const variable = process.env.SUBTEN_ONNXRUNTIME_LIB

beforeAll(() => {
  delete process.env.SUBTEN_ONNXRUNTIME_LIB
})
afterAll(() => {
  rmSync(folder, { recursive: true })
  if (variable !== undefined) process.env.SUBTEN_ONNXRUNTIME_LIB = variable
})

const refused = (provider: object): Promise<unknown> =>
  load('models/digits', { executionProviders: [{ name: 'openvino', ...provider }] as never }).catch((error) => error)

describe('a model for OpenVINO', () => {
  it('says how to install it, before any ONNX Runtime is loaded in its place', async () => {
    const options = {
      engine: 'onnxruntime',
      modelPath: 'models/digits/1/model.onnx',
      settings: [['openvino_only', '1']],
    }
    const answer = await addon().openModel({
      ...options,
      libraryPath: '',
      parameters: [],
      inputs: [],
      outputs: [],
      maxBatchSize: 1,
    })
    expect(answer).toMatchObject({ message: expect.stringContaining('npx subten providers install openvino') })
  })

  it('says of a library that is not there where it was looked for', async () => {
    expect(await refused({ libraryPath: folder })).toMatchObject({
      code: 'ENGINE_NOT_FOUND',
      message: expect.stringContaining(folder),
    })
    expect(existsSync(folder)).toBe(true)
  })

  it.skipIf(!defaultLibrary)('cannot be loaded beside a model of the default ONNX Runtime, and says why', async () => {
    const other = (await load('models/digits', { engineLibrary: defaultLibrary })) as Model
    for (const provider of [{}, { libraryPath: defaultLibrary }]) {
      const error = await refused(provider)
      expect(error).toMatchObject({ code: 'NOT_SUPPORTED' })
      expect((error as Error).message).toMatch(
        /a process has one ONNX Runtime.*before every other.*SUBTEN_ONNXRUNTIME_LIB/,
      )
      expect((error as Error).message).toContain(defaultLibrary)
    }
    await other.close()
  })
})
