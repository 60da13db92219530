import { describe, expect, it } from 'vitest'
import { SubtenError } from '../../../src/runtime/errors.js'
import { ModelHost } from '../../../src/server/model-host.js'
import { fakeModel } from '../../../src/testing.js'
import { echoModel, get, post, serving, vector } from './running-server.js'

const broken = {
  name: 'broken',
  load: () => Promise.reject(new SubtenError('ENGINE_NOT_FOUND', 'no library at /opt/secret/engines/libtriton.so')),
}

describe('KServe v2 metadata', () => {
  it('tells what server this is and that it lives', async () => {
    const { url } = await serving([echoModel(vector)])
    expect((await get(`${url}/v2`)).json).toMatchObject({ name: 'subten', version: expect.stringMatching(/^\d/) })
    expect((await get(`${url}/v2`)).json.extensions).toContain('binary_tensor_data')
    expect((await get(`${url}/v2/health/live`)).json).toEqual({ live: true })
    expect(await get(`${url}/v2/health/ready`)).toMatchObject({ status: 200, json: { ready: true } })
  })

  it('describes a model, by name and by version', async () => {
    const model = echoModel(vector, {}, { version: '3', config: { platform: 'onnxruntime_onnx' } })
    const { url } = await serving([model])
    const description = {
      name: 'echo',
      versions: ['3'],
      platform: 'onnxruntime_onnx',
      inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 2] }],
      outputs: [{ name: 'x_out', datatype: 'FP32', shape: [-1, 2] }],
    }
    expect((await get(`${url}/v2/models/echo`)).json).toEqual(description)
    expect((await get(`${url}/v2/models/echo/versions/3`)).json).toEqual(description)
    expect((await get(`${url}/v2/models/echo/ready`)).json).toEqual({ name: 'echo', ready: true })
    expect(await get(`${url}/v2/models/echo/versions/4`)).toMatchObject({ status: 404 })
  })

  it('prefers the highest version when none is named', async () => {
    const { url } = await serving([echoModel(vector, {}, { version: '9' }), echoModel(vector, {}, { version: '10' })])
    const body = { inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2], data: [1, 2] }] }
    expect((await post(`${url}/v2/models/echo/infer`, body)).json.model_version).toBe('10')
    expect((await post(`${url}/v2/models/echo/versions/9/infer`, body)).json.model_version).toBe('9')
    expect((await get(`${url}/v2/models/echo`)).json.versions).toEqual(['9', '10'])
  })

  it('lists a model that failed to load with its reason, is ready all the same, and names no path', async () => {
    const echo = echoModel(vector)
    const { url } = await serving(new ModelHost([broken, { name: 'echo', load: () => Promise.resolve(echo) }]))
    const index = (await post(`${url}/v2/repository/index`, '')).json
    expect(index).toEqual([
      { name: 'broken', version: '', state: 'UNAVAILABLE', reason: 'no library at libtriton.so' },
      { name: 'echo', version: '1', state: 'READY', reason: '' },
    ])
    expect((await post(`${url}/v2/repository/index`, { ready: true })).json).toHaveLength(1)
    expect(await get(`${url}/v2/health/ready`)).toMatchObject({ status: 200 })
    const answer = await get(`${url}/v2/models/broken`)
    expect(answer).toMatchObject({ status: 503, json: { error: expect.stringContaining('libtriton.so') } })
    expect(JSON.stringify(answer.json)).not.toContain('/opt/secret')
  })

  it('is not ready while a model is loading', async () => {
    let finish: (model: ReturnType<typeof fakeModel>) => void = () => {}
    const host = new ModelHost([{ name: 'slow', load: () => new Promise((resolve) => (finish = resolve)) }])
    const { url } = await serving(host)
    expect(await get(`${url}/v2/health/ready`)).toMatchObject({ status: 503, json: { ready: false } })
    expect(await get(`${url}/v2/models/slow`)).toMatchObject({ status: 503 })
    finish(fakeModel({ name: 'slow', inputs: [], outputs: [] }))
    await host.settled()
    expect(await get(`${url}/v2/health/ready`)).toMatchObject({ status: 200 })
  })

  it('answers what is not there in the form of each protocol', async () => {
    const { url } = await serving([echoModel(vector)])
    expect(await get(`${url}/v2/models/nobody`)).toMatchObject({ status: 404, json: { error: expect.any(String) } })
    expect(await get(`${url}/v2/nothing`)).toMatchObject({ status: 404, json: { error: expect.any(String) } })
    expect(await get(`${url}/nothing`)).toMatchObject({ status: 404, json: { error: { code: 'NOT_FOUND' } } })
    for (const name of ['..%2f..%2fetc%2fpasswd', '__proto__', 'constructor', '%00', 'a'.repeat(250)]) {
      expect((await get(`${url}/v2/models/${name}`)).status).toBe(404)
    }
    expect((await get(`${url}/v2/models/%zz`)).status).toBe(400)
  })
})
