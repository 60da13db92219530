import { copyFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { load } from '../../src/load/load.js'
import type { Model } from '../../src/runtime/types.js'
import { rejection } from '../unit/repository/thrown.js'
import { closedAfter, modelDirectory } from '../unit/runtime/loaded.js'
import { addSub, firstOf, triton, withTriton } from './triton.js'

const io = `
  input [{ name: "INPUT0" data_type: TYPE_FP32 dims: [ 4 ] }]
  output [{ name: "OUTPUT0" data_type: TYPE_FP32 dims: [ 4 ] }]`
const body = (execute: string, initialize = 'pass'): string => `
import triton_python_backend_utils as pb_utils
class TritonPythonModel:
    def initialize(self, args):
        ${initialize}
    def execute(self, requests):
        ${execute}
`
const echo =
  "return [pb_utils.InferenceResponse([pb_utils.Tensor('OUTPUT0', pb_utils.get_input_tensor_by_name(r, 'INPUT0').as_numpy())]) for r in requests]"

async function python(source: string, config = `backend: "python"${io}`): Promise<Model> {
  return closedAfter((await load(await modelDirectory('mine', config, { '1/model.py': source }))) as Model)
}

withTriton('a library', ['add_sub_py'], () => {
  it('that is none is an error with its path, not a crash', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'subten-library-'))
    const text = join(folder, 'libtritonserver.so')
    writeFileSync(text, 'no library')
    const error = await rejection(load('models/add_sub_py', { engine: 'triton', engineLibrary: text }))
    expect(error.code).toMatch(/^ENGINE_(NOT_FOUND|VERSION)$/)
    expect(error.message).toContain(text)
    const other = join(folder, 'other.so')
    copyFileSync(process.execPath, other)
    const refused = await rejection(load('models/add_sub_py', { engine: 'triton', engineLibrary: other }))
    expect(refused.code).toMatch(/^ENGINE_(NOT_FOUND|VERSION)$/)
  })
})

withTriton('a model', ['add_sub_py'], () => {
  it.each([
    ['whose Python does not parse', 'def ('],
    ['without the class', 'x = 1'],
    ['that fails when it is made', body(echo, "raise ValueError('not today')")],
  ])('%s is an error with the reason', async (_, source) => {
    const error = await rejection(python(source))
    expect(error.code).toMatch(/^(MODEL_INVALID|MODEL_NOT_FOUND)$/)
    expect(error.remedy).not.toBe('')
  })

  it('of a backend that Triton does not have is ENGINE_NOT_FOUND with what to do', async () => {
    const error = await rejection(python(body(echo), `backend: "nosuchbackend"${io}`))
    expect(error).toMatchObject({ code: 'ENGINE_NOT_FOUND', message: expect.stringContaining('nosuchbackend') })
  })

  it('that raises gives ENGINE_FAILED with its text, and goes on', async () => {
    const source = body(`
        x = pb_utils.get_input_tensor_by_name(requests[0], 'INPUT0').as_numpy()
        if x[0] < 0: raise ValueError('below zero')
        ${echo}`)
    const model = await python(source)
    const error = await rejection(model.infer({ INPUT0: new Float32Array(4).fill(-1) }))
    expect(error).toMatchObject({ code: 'ENGINE_FAILED', message: expect.stringContaining('below zero') })
    expect(firstOf(await model.infer({ INPUT0: new Float32Array(4).fill(2) }), 'OUTPUT0')).toBe(2)
  })

  it('whose stub is killed while it serves fails its requests, and serves again when it is loaded anew', async () => {
    const model = await python(body('import os; os.kill(os.getpid(), 9)'))
    expect(await rejection(model.infer({ INPUT0: new Float32Array(4) }))).toMatchObject({ code: 'ENGINE_FAILED' })
    await model.close()
    const again = await triton('add_sub_py')
    expect(firstOf(await again.infer(addSub(1, 2)), 'OUTPUT0')).toBe(3)
  })

  it('that lies on a path with no configuration and no known file says so', async () => {
    const directory = await modelDirectory('mine', '', { '1/model.bin': '' })
    expect(await rejection(load(directory, { engine: 'triton' }))).toMatchObject({ code: 'MODEL_INVALID' })
  })
})

withTriton('after all of it', ['add_sub_py'], () => {
  it('no stub of the Python backend is left behind by this process', async () => {
    const model = await triton('add_sub_py')
    await model.close()
    const children = readdirSync('/proc').filter((pid) => {
      if (!/^\d+$/.test(pid) || !existsSync(`/proc/${pid}/stat`)) return false
      const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
      // One that was killed stays a zombie: Triton does not wait for it.
      const [state, parent] = text.slice(text.lastIndexOf(')') + 2).split(' ')
      return text.includes('triton_python') && state !== 'Z' && Number(parent) === process.pid
    })
    expect(children).toEqual([])
  })
})
