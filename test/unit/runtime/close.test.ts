import { expect, it } from 'vitest'
import { load } from '../../../src/load/load.js'
import { attach } from '../../../src/runtime/attach.js'
import type { ShareToken } from '../../../src/runtime/types.js'
import { rejection, thrown } from '../repository/thrown.js'
import { closedAfter, floats, loaded, row, slowEcho } from './loaded.js'

it('close() drains what is in flight and takes nothing new', async () => {
  const model = await slowEcho(20, { max_batch_size: 1 })
  const running = Array.from({ length: 5 }, (_, i) => model.infer(row(i)))
  const closing = model.close()
  expect(model.closed).toBe(true)
  expect(await rejection(model.infer(row(9)))).toMatchObject({
    code: 'MODEL_CLOSED',
    message: expect.stringContaining('echo'),
  })
  expect((await Promise.all(running)).map((each) => each.output?.data)).toEqual(running.map((_, i) => row(i).input))
  await closing
})

it('close() drains requests that wait for room', async () => {
  const model = await slowEcho(5, { max_batch_size: 1, maxQueueSize: 1, whenFull: 'wait' })
  const waiting = Array.from({ length: 10 }, (_, i) => model.infer(row(i)))
  await model.close()
  expect(await Promise.all(waiting)).toHaveLength(10)
})

it('close() may be called again, at once and later, as may its symbol', async () => {
  const model = await loaded('models/echo')
  const closing = model.close()
  expect(model.close()).toBe(closing)
  await model[Symbol.asyncDispose]()
  await model.close()
})

it('everything but close() is MODEL_CLOSED afterwards', async () => {
  const model = await loaded('models/echo')
  await model.close()
  for (const call of [
    () => model.inferSync(row(1)),
    () => model.tryClaim(),
    () => model.stats(),
    () => model.resetStats(),
    () => model.share(),
  ]) {
    expect(thrown(call)).toMatchObject({ code: 'MODEL_CLOSED' })
  }
  for (const promise of [model.infer(row(1)), model.inferMany([row(1)]), model.claim()]) {
    expect(await rejection(promise)).toMatchObject({ code: 'MODEL_CLOSED' })
  }
  expect(model.ref()).toBe(model)
  expect(model.unref()).toBe(model)
  expect(model.inputs).toHaveLength(1)
})

it('a handle from attach() uses the same queue, and each handle is closed by itself', async () => {
  const model = await loaded('models/digits')
  const same = closedAfter(attach(structuredClone(model.share())))
  expect(same).toMatchObject({ name: 'digits', inputs: model.inputs, outputs: model.outputs, config: model.config })
  expect(same.labels('probabilities')).toEqual(model.labels('probabilities'))
  const image = new Float32Array(64).fill(0.5)
  const [one, two] = await Promise.all([model.infer({ image }), same.infer({ image })])
  expect([...floats(one.probabilities)]).toEqual([...floats(two.probabilities)])
  expect(model.stats().requests.succeeded).toBe(2)
  await model.close()
  expect((await same.infer({ image })).probabilities?.shape).toEqual([1, 10])
})

it('a token is good until the last handle is closed', async () => {
  const model = await load('models/echo')
  const token = model.share()
  const second = attach(token)
  await model.close()
  const third = attach(token)
  await Promise.all([second.close(), third.close()])
  expect(thrown(() => attach(token))).toMatchObject({ code: 'MODEL_CLOSED' })
})

it.each([[undefined], [null], [5], [{}], [{ subten: 1 }], [{ subten: 2, id: 'x' }], [{ subten: 1, id: 5 }]])(
  'attach(%j) is INVALID_INPUT',
  (token) => {
    expect(thrown(() => attach(token as unknown as ShareToken))).toMatchObject({ code: 'INVALID_INPUT' })
  },
)

it('a token nobody gave is MODEL_CLOSED', () => {
  expect(thrown(() => attach({ subten: 1, id: '../../etc' }))).toMatchObject({ code: 'MODEL_CLOSED' })
})

it('a model may be loaded many times at once; each has a core of its own', async () => {
  const models = await Promise.all(Array.from({ length: 8 }, () => loaded('models/mlp')))
  const input = new Float32Array(64).fill(1)
  const outputs = await Promise.all(models.map((model) => model.infer({ input })))
  expect(new Set(outputs.map((each) => String(each.output?.data))).size).toBe(1)
  for (const model of models) expect(model.stats().requests.submitted).toBe(1)
})
