import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { root, type ServerProcess, startServer } from './server-process.js'

const seven = readFileSync(join(root, 'test/data/seven.png'))

// biome-ignore lint/suspicious/noExplicitAny: tests look into bodies of any shape
const bodyOf = (response: Response): Promise<any> => response.json()

describe('subten serve, with the models of the repository', () => {
  let server: ServerProcess
  beforeAll(async () => {
    server = await startServer()
  })
  afterAll(() => server?.end())

  it('prints a curl line that works as it stands, and the address of the page', async () => {
    const line = server.output().match(/^ {2}(curl .*)$/m)?.[1] as string
    const { stdout } = await promisify(execFile)('sh', ['-c', line], { cwd: root })
    expect(JSON.parse(stdout)).toMatchObject({ model: 'digits', top: [{ label: '7', index: 7 }, {}, {}] })
    expect((await fetch(server.url)).headers.get('content-type')).toContain('text/html')
  })

  it('is ready, and lists its models', async () => {
    expect((await fetch(`${server.url}/v2/health/ready`)).status).toBe(200)
    const index = await bodyOf(await fetch(`${server.url}/v2/repository/index`, { method: 'POST' }))
    const ready = index.filter((e: { state: string }) => e.state === 'READY').map((e: { name: string }) => e.name)
    expect(ready).toEqual(expect.arrayContaining(['digits', 'digits_int8', 'mlp', 'echo']))
  })

  it.each(['digits', 'digits_int8'])('%s reads a seven, and says where the time went', async (model) => {
    const response = await fetch(`${server.url}/v1/classify/${model}?k=10`, {
      method: 'POST',
      body: new Uint8Array(seven),
    })
    const answer = await bodyOf(response)
    expect(Object.keys(answer)).toEqual(['model', 'version', 'top'])
    expect(answer.top).toHaveLength(10)
    expect(answer.top[0]).toMatchObject({ label: '7', index: 7 })
    expect(answer.top[0].score).toBeGreaterThan(0.5)
    const timing = response.headers.get('server-timing') ?? ''
    for (const stage of ['decode', 'preprocess', 'queue', 'compute'])
      expect(timing).toMatch(new RegExp(`${stage};dur=`))
  })

  it('echoes tensors, as JSON and as binary data', async () => {
    const data = Array.from({ length: 128 }, (_, i) => i / 2)
    const { inputs } = await bodyOf(await fetch(`${server.url}/v2/models/echo`))
    const tensor = { name: inputs[0].name, datatype: 'FP32', shape: [2, 64] }
    const url = `${server.url}/v2/models/echo/infer`
    const json = await fetch(url, { method: 'POST', body: JSON.stringify({ inputs: [{ ...tensor, data }] }) })
    expect((await bodyOf(json)).outputs[0]).toMatchObject({ shape: [2, 64], data })

    const bytes = Buffer.from(new Float32Array(data).buffer)
    const head = Buffer.from(
      JSON.stringify({
        inputs: [{ ...tensor, parameters: { binary_data_size: bytes.length } }],
        parameters: { binary_data_output: true },
      }),
    )
    const headers = { 'inference-header-content-length': String(head.length) }
    const binary = await fetch(url, { method: 'POST', body: Buffer.concat([head, bytes]), headers })
    const length = Number(binary.headers.get('inference-header-content-length'))
    expect(Buffer.from(await binary.arrayBuffer()).subarray(length)).toEqual(bytes)
  })

  it('answers bad input in the form of each protocol, and goes on', async () => {
    const post = async (path: string, body: string) => {
      const response = await fetch(server.url + path, { method: 'POST', body })
      return { status: response.status, json: await response.json() }
    }
    const wrong = { inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 3], data: [1, 2, 3] }] }
    expect(await post('/v2/models/echo/infer', JSON.stringify(wrong))).toMatchObject({
      status: 400,
      json: { error: expect.any(String) },
    })
    expect(await post('/v2/models/absent/infer', '{}')).toMatchObject({ status: 404 })
    expect(await post('/v1/classify/digits', 'no picture')).toMatchObject({
      status: 415,
      json: { error: { code: 'INVALID_INPUT' } },
    })
    expect((await fetch(`${server.url}/v2/health/ready`)).status).toBe(200)
  })

  it('counts in /metrics what it answered', async () => {
    const text = await (await fetch(`${server.url}/metrics`)).text()
    const count = Number(/nv_inference_request_success\{model="echo",version="1"\} (\d+)/.exec(text)?.[1])
    expect(count).toBeGreaterThanOrEqual(2)
  })
})

// Python models take Triton seconds to stop, more where other tests have the processors.
describe('subten serve, stopped', { timeout: 90_000 }, () => {
  it.each(['SIGTERM', 'SIGINT'] as const)('ends with 0 on %s', async (signal) => {
    const server = await startServer()
    const code = await server.end(signal)
    expect(code, server.errors()).toBe(0)
  })

  it('says plainly that a port is taken', async () => {
    const server = await startServer()
    const { port } = new URL(server.url)
    const second = promisify(execFile)(process.execPath, ['dist/cli.js', 'serve', '--http-port', port], { cwd: root })
    await expect(second).rejects.toMatchObject({ code: 1, stderr: expect.stringContaining(`port ${port}`) })
    await server.end()
  })
})
