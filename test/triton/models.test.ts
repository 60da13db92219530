import { cpSync, existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type ServerBinary, startServerBinary, tritonInstalled, tritonModels } from './server-binary.js'

// The models of models/ under Triton's own server: what subten's engine gives must be the same.

const hasDigits = existsSync(`${tritonModels}/digits_triton/config.pbtxt`)
const hasBackend = existsSync(
  `${tritonModels}/../.cache/triton/backends/subten_onnxruntime/libtriton_subten_onnxruntime.so`,
)

describe.skipIf(!tritonInstalled)('the models of models, in the tritonserver program', () => {
  let server: ServerBinary

  beforeAll(async () => {
    server = await startServerBinary(tritonModels, {
      models: ['add_sub_py', 'repeat_py', 'accumulator', 'digits_preprocess'],
    })
  }, 90_000)
  afterAll(() => server?.stop())

  it('add_sub_py adds and subtracts', async () => {
    const outputs = await infer(server, 'add_sub_py', [
      tensor('INPUT0', 'FP32', [1, 4], [1, 2, 3, 4]),
      tensor('INPUT1', 'FP32', [1, 4], [10, 20, 30, 40]),
    ])
    expect(outputs).toEqual({ OUTPUT0: [11, 22, 33, 44], OUTPUT1: [-9, -18, -27, -36] })
  })

  it('repeat_py gives as many responses as its input says', async () => {
    expect(await stream(server, 'repeat_py', [tensor('IN', 'INT32', [1], [5])])).toEqual([0, 1, 2, 3, 4])
    expect(await stream(server, 'repeat_py', [tensor('IN', 'INT32', [1], [0])])).toEqual([])
  })

  it('accumulator keeps a sum for each sequence until its end', async () => {
    const send = async (id: number, value: number, flags: object = {}) =>
      (await infer(server, 'accumulator', [tensor('INPUT', 'INT32', [1, 1], [value])], { sequence_id: id, ...flags }))
        .OUTPUT
    expect(await send(7, 1, { sequence_start: true })).toEqual([1])
    expect(await send(8, 100, { sequence_start: true })).toEqual([100])
    expect(await send(7, 2)).toEqual([3])
    expect(await send(8, 1, { sequence_end: true })).toEqual([101])
    expect(await send(7, 3, { sequence_end: true })).toEqual([6])
    expect(await send(7, 5, { sequence_start: true, sequence_end: true })).toEqual([5])
  })

  it('digits_preprocess scales pixels to 0..1', async () => {
    const pixels = Array.from({ length: 64 }, (_, i) => i * 4)
    const { image = [] } = await infer(server, 'digits_preprocess', [tensor('pixels', 'UINT8', [1, 8, 8], pixels)])
    image.forEach((value, i) => {
      expect(Math.fround(value)).toBe(Math.fround((i * 4) / 255))
    })
  })
})

describe.skipIf(!tritonInstalled || !hasDigits || !hasBackend)('digits_ensemble, in the tritonserver program', () => {
  let server: ServerBinary

  beforeAll(async () => {
    server = await startServerBinary(tritonModels, { models: ['digits_ensemble'] })
  }, 90_000)
  afterAll(() => server?.stop())

  it('gives what its two steps give one after the other', async () => {
    const pixels = Array.from({ length: 64 }, (_, i) => (i % 8 === 3 || i % 8 === 4 ? 255 : 0))
    const whole = await infer(server, 'digits_ensemble', [tensor('pixels', 'UINT8', [1, 8, 8], pixels)])
    const image = pixels.map((value) => value / 255)
    const step = await infer(server, 'digits_triton', [tensor('image', 'FP32', [1, 1, 8, 8], image)])
    expect(whole.probabilities).toEqual(step.probabilities)
    expect(whole.probabilities).toHaveLength(10)
  })
})

describe.skipIf(!tritonInstalled)('repeat_py with a pause and one instance, in the tritonserver program', () => {
  let server: ServerBinary

  beforeAll(async () => {
    const repository = mkdtempSync(join(tmpdir(), 'subten-repeat-'))
    cpSync(`${tritonModels}/repeat_py`, join(repository, 'repeat_py'), { recursive: true })
    const config = join(repository, 'repeat_py', 'config.pbtxt')
    const slow = readFileSync(config, 'utf8')
      .replace('count: 2', 'count: 1')
      .replace('string_value: "0"', 'string_value: "20"')
    writeFileSync(config, slow)
    server = await startServerBinary(repository)
  }, 90_000)
  afterAll(() => server?.stop())

  it('ends a request whose client went away, long before its last response', async () => {
    const leaving = new AbortController()
    const response = await fetch(`${server.http}/v2/models/repeat_py/generate_stream`, {
      method: 'POST',
      body: JSON.stringify({ IN: 1000 }),
      signal: leaving.signal,
    })
    await response.body?.getReader().read()
    leaving.abort()
    const before = performance.now()
    expect(await stream(server, 'repeat_py', [tensor('IN', 'INT32', [1], [1])])).toEqual([0])
    // All thousand would take 20 s.
    expect(performance.now() - before).toBeLessThan(10_000)
  })
})

const tensor = (name: string, datatype: string, shape: number[], data: number[]) => ({ name, datatype, shape, data })

interface Answer {
  readonly outputs: readonly { name: string; data: number[] }[]
}

async function infer(server: ServerBinary, model: string, inputs: object[], parameters = {}) {
  const response = await fetch(`${server.http}/v2/models/${model}/infer`, {
    method: 'POST',
    body: JSON.stringify({ inputs, parameters }),
  })
  if (!response.ok) throw new Error(await response.text())
  const { outputs } = (await response.json()) as Answer
  return Object.fromEntries(outputs.map(({ name, data }) => [name, data]))
}

/** The first value of each response, by Triton's generate extension: one server-sent event a response. */
async function stream(server: ServerBinary, model: string, inputs: { name: string; data: number[] }[]) {
  const response = await fetch(`${server.http}/v2/models/${model}/generate_stream`, {
    method: 'POST',
    body: JSON.stringify(Object.fromEntries(inputs.map(({ name, data }) => [name, data[0]]))),
  })
  if (!response.ok) throw new Error(await response.text())
  const events = (await response.text()).split('\n').filter((line) => line.startsWith('data: '))
  return events.map((line) => (JSON.parse(line.slice(6)) as { OUT: number }).OUT)
}
