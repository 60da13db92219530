import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { exampleRequest } from '../../../src/cli/example-request.js'
import { fakeModel } from '../../../src/testing.js'
import { serving } from '../server/running-server.js'

const shell = async (line: string): Promise<string> => (await promisify(execFile)('sh', ['-c', line])).stdout

it('the curl line that serve prints works as it stands, with tensors', async () => {
  const model = fakeModel({
    name: 'odd',
    inputs: [
      { name: "it's", datatype: 'BYTES', shape: [-1, 2] },
      { name: 'flag', datatype: 'BOOL', shape: [] },
    ],
    outputs: [{ name: 'y', datatype: 'FP32', shape: [1] }],
  })
  const { url } = await serving([model])
  const line = exampleRequest(url, [model]) as string
  expect(JSON.parse(await shell(line))).toMatchObject({ model_name: 'odd', outputs: [{ name: 'y' }] })
})

it('the curl line that serve prints works as it stands, with a digit', async () => {
  const model = fakeModel({
    name: 'digits',
    inputs: [{ name: 'image', datatype: 'FP32', shape: [-1, 1, 8, 8] }],
    outputs: [{ name: 'p', datatype: 'FP32', shape: [-1, 10] }],
  })
  const { url } = await serving([model])
  const line = exampleRequest(url, [model]) as string
  expect(line).toContain('test/data/seven.png')
  expect(JSON.parse(await shell(line))).toMatchObject({ model: 'digits', top: [{}, {}, {}] })
})

it('there is no line for models whose tensors JSON cannot carry, or not in a line', () => {
  const half = fakeModel({ inputs: [{ name: 'x', datatype: 'FP16', shape: [1] }], outputs: [] })
  const large = fakeModel({ inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 3, 224, 224] }], outputs: [] })
  expect(exampleRequest('http://127.0.0.1:1', [half, large])).toBeUndefined()
})
