import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type ServerBinary, startServerBinary, tritonInstalled, tritonModels } from './server-binary.js'
import { triton } from './triton.js'

// The same models, by Triton's own server over HTTP and by the engine triton in this process: equal bytes.

const MODELS = ['add_sub_py', 'digits_triton', 'digits_ensemble']

describe.skipIf(!tritonInstalled)('the tritonserver binary and the engine triton', () => {
  let server: ServerBinary

  beforeAll(async () => {
    server = await startServerBinary(tritonModels, { models: MODELS })
  }, 90_000)
  afterAll(() => server?.stop())

  it.each(MODELS)('give equal bytes for %s', { timeout: 60_000 }, async (name) => {
    const model = await triton(name)
    for (let seed = 1; seed <= 20; seed++) {
      const inputs = model.inputs.map(({ name: input, datatype, shape }, index) => {
        const dims = shape.map((dim, axis) => (axis === 0 && dim < 0 ? 1 : dim))
        const size = dims.reduce((a, b) => a * b, 1)
        const value = (i: number): number => ((i * 37 + seed * 101 + index * 7) % 255) / (datatype === 'UINT8' ? 1 : 16)
        const numbers = Array.from({ length: size }, (_, i) => value(i))
        const data = datatype === 'UINT8' ? Uint8Array.from(numbers) : Float32Array.from(numbers)
        return { name: input, datatype, shape: dims, data }
      })
      const ours = await model.infer(Object.fromEntries(inputs.map(({ name, data, shape }) => [name, { data, shape }])))
      const theirs = await overHttp(server, name, inputs)
      expect(Object.keys(theirs).sort()).toEqual(Object.keys(ours).sort())
      for (const [output, bytes] of Object.entries(theirs)) {
        const { data } = ours[output] as { data: Float32Array }
        expect(Buffer.from(data.buffer, data.byteOffset, data.byteLength).equals(bytes), `${name} ${output}`).toBe(true)
      }
    }
  })
})

interface Input {
  readonly name: string
  readonly datatype: string
  readonly shape: readonly number[]
  readonly data: Uint8Array | Float32Array
}

/** KServe v2 over HTTP with binary tensors: the bytes of each output. */
async function overHttp(
  server: ServerBinary,
  model: string,
  inputs: readonly Input[],
): Promise<Record<string, Buffer>> {
  const head = Buffer.from(
    JSON.stringify({
      inputs: inputs.map(({ name, datatype, shape, data }) => ({
        name,
        datatype,
        shape,
        parameters: { binary_data_size: data.byteLength },
      })),
      parameters: { binary_data_output: true },
    }),
  )
  const tensors = inputs.map(({ data }) => Buffer.from(data.buffer, data.byteOffset, data.byteLength))
  const response = await fetch(`${server.http}/v2/models/${model}/infer`, {
    method: 'POST',
    headers: { 'inference-header-content-length': String(head.length) },
    body: Buffer.concat([head, ...tensors]),
  })
  const body = Buffer.from(await response.arrayBuffer())
  expect(response.status, body.toString()).toBe(200)
  const length = Number(response.headers.get('inference-header-content-length'))
  const { outputs } = JSON.parse(body.subarray(0, length).toString()) as {
    outputs: { name: string; parameters: { binary_data_size: number } }[]
  }
  const bytes: Record<string, Buffer> = {}
  let at = length
  for (const { name, parameters } of outputs) {
    bytes[name] = body.subarray(at, at + parameters.binary_data_size)
    at += parameters.binary_data_size
  }
  return bytes
}
