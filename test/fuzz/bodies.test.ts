import fc from 'fast-check'
import { expect, test } from 'vitest'
import { SubtenError } from '../../src/runtime/errors.js'
import type { Model } from '../../src/runtime/types.js'
import { readInferRequest } from '../../src/server/protocols/kserve-rest/infer-request.js'
import { bodies } from './mutations.js'
import { asLongAsThereIsTime, timeoutMs } from './time.js'

/** What reading a request needs of a model. */
const model = {
  name: 'any',
  inputs: [{ name: 'x' }, { name: 's' }, { name: 'l' }],
  outputs: [{ name: 'y' }],
} as unknown as Model

const json = (value: object): Buffer => Buffer.from(JSON.stringify(value))
const x = { name: 'x', datatype: 'FP32', shape: [3] }
const heads = [
  json({ id: 'a', inputs: [{ ...x, data: [1, 2.5, -3] }], parameters: { priority: 1, timeout: 5 } }),
  json({ inputs: [{ name: 's', datatype: 'BYTES', shape: [2], data: ['a', '\u00e9'] }] }),
  Buffer.from('{"inputs":[{"name":"l","datatype":"INT64","shape":[1,2],"data":[[9007199254740993,-1]]}]}'),
]
const binaryHeads = [
  json({ inputs: [{ ...x, parameters: { binary_data_size: 12 } }], parameters: { binary_data_output: true } }),
  json({ inputs: [{ name: 's', datatype: 'BYTES', shape: [2], parameters: { binary_data_size: 10 } }] }),
]
const tail = Buffer.from([1, 0, 0, 0, 97, 1, 0, 0, 0, 98, 0, 0])
const limits = { jsonDepth: 32, tensors: 64 }

function readOrRefuse(body: Buffer, headerLength: number | undefined): boolean {
  try {
    readInferRequest(body, headerLength, model, limits)
    return true
  } catch (error) {
    if (!(error instanceof SubtenError)) throw error
    expect(['INVALID_INPUT', 'NOT_SUPPORTED', 'BATCH_TOO_LARGE']).toContain(error.code)
    return false
  }
}

test('any KServe body is read, or refused with a typed error', { timeout: timeoutMs }, () => {
  let [runs, read] = [0, 0]
  const whole = bodies(heads).map((body) => ({ body, length: undefined as number | undefined }))
  const parts = fc
    .tuple(bodies(binaryHeads), bodies([tail]), fc.oneof(fc.constant(0), fc.integer({ min: -3, max: 3 })))
    .map(([head, rest, off]) => ({ body: Buffer.concat([head, rest]), length: Math.max(0, head.length + off) }))
  fc.assert(
    fc.property(fc.oneof(whole, parts), ({ body, length }) => {
      runs++
      if (readOrRefuse(body, length)) read++
    }),
    asLongAsThereIsTime(),
  )
  console.log(`KServe bodies: ${runs}, ${read} of them read`)
  expect(read).toBeGreaterThan(0)
  expect(runs).toBeGreaterThan(read)
})
