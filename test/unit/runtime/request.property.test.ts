import fc from 'fast-check'
import { afterAll, beforeAll, it } from 'vitest'
import { load } from '../../../src/load/load.js'
import { SubtenError } from '../../../src/runtime/errors.js'
import type { InferOptions, Inputs, Model } from '../../../src/runtime/types.js'

// The seed is printed by fast-check when a property fails.
let echo: Model
let dynamic: Model
let strings: Model

beforeAll(async () => {
  echo = await load('models/echo', { whenFull: 'wait' })
  dynamic = await load('test/data/onnx/add_dynamic.onnx', { max_batch_size: 0 })
  strings = await load('test/data/onnx/identity_bytes.onnx')
})
afterAll(() => Promise.all([echo, dynamic, strings].map((model) => model.close())))

const requests = fc.array(fc.tuple(fc.integer({ min: 1, max: 64 }), fc.float({ noNaN: true }), fc.boolean()), {
  minLength: 1,
  maxLength: 40,
})

it('whatever tensors are sent at once, each request gets its own back', async () => {
  await fc.assert(
    fc.asyncProperty(requests, async (all) => {
      await Promise.all(
        all.map(async ([rows, start, bare]) => {
          const data = Float32Array.from({ length: rows * 64 }, (_, i) => start + i)
          const input = bare && rows === 1 ? data : { data, shape: [rows, 64] }
          const { output } = await echo.infer({ input })
          if (String(output?.shape) !== `${rows},64`) throw new Error(`shape ${output?.shape} for ${rows} rows`)
          const got = output?.data as Float32Array
          for (let i = 0; i < data.length; i++) {
            if (!Object.is(got[i], data[i])) throw new Error(`element ${i} is ${got[i]}, not ${data[i]}`)
          }
        }),
      )
    }),
    { numRuns: 100 },
  )
})

it('whatever strings are sent, each comes back', async () => {
  const texts = fc.array(fc.oneof(fc.string({ unit: 'binary' }), fc.string()), { minLength: 3, maxLength: 3 })
  await fc.assert(
    fc.asyncProperty(texts, async (x) => {
      const { y } = await strings.infer({ x })
      // Lone surrogates have no UTF-8 form.
      const wanted = x.map((each) => Buffer.from(each).toString())
      if (String(y?.data) !== String(wanted)) throw new Error(`${y?.data}`)
    }),
    { numRuns: 200 },
  )
})

const garbage = fc.oneof(
  fc.anything({ withTypedArray: true, withBigInt: true, withDate: true, withMap: true, withNullPrototype: true }),
  fc.record(
    { data: fc.anything({ withTypedArray: true }), shape: fc.anything(), datatype: fc.anything() },
    { requiredKeys: [] },
  ),
  fc.record({ data: fc.float32Array({ maxLength: 200 }), shape: fc.array(fc.oneof(fc.integer(), fc.double())) }),
  fc.record({ data: fc.float32Array({ minLength: 64, maxLength: 64 }), shape: fc.constant([1, 64]) }),
)
const inputs = fc.oneof(
  fc.record({ input: garbage }),
  fc.record({ a: garbage, b: garbage }),
  fc.dictionary(fc.string(), garbage),
  fc.anything(),
)
const options = fc.oneof(
  fc.constant(undefined),
  fc.record(
    {
      deadlineMs: fc.anything(),
      priority: fc.anything(),
      timeoutUs: fc.anything(),
      signal: fc.anything(),
      trace: fc.anything(),
    },
    { requiredKeys: [] },
  ),
)

it('whatever garbage infer is given, it ends, with outputs or with a SubtenError', async () => {
  await fc.assert(
    fc.asyncProperty(inputs, options, fc.boolean(), async (given, how, sync) => {
      for (const model of [echo, dynamic]) {
        try {
          if (sync) model.inferSync(given as Inputs)
          else await model.infer(given as Inputs, how as InferOptions)
        } catch (error) {
          if (!(error instanceof SubtenError)) throw error
        }
      }
    }),
    { numRuns: 500 },
  )
  const input = new Float32Array(64).fill(3)
  if (String((await echo.infer({ input })).output?.data) !== String(input)) throw new Error('the model is disturbed')
})
