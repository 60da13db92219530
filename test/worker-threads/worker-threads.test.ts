import { Worker } from 'node:worker_threads'
import { afterEach, expect, it } from 'vitest'
import { runChild } from '../exit/child.js'
import { floats } from '../unit/runtime/loaded.js'

const workers: Worker[] = []
afterEach(() => Promise.all(workers.splice(0).map((worker) => worker.terminate())))

/** A worker on the built package that answers the message `token` by running `body`, whose result is posted. */
function worker(body: string, workerData: unknown = {}): { worker: Worker; answer: Promise<unknown> } {
  const code = `
    const { load, attach } = require('./dist/index.cjs')
    const { parentPort, workerData, threadId } = require('node:worker_threads')
    const row = (value) => ({ input: new Float32Array(64).fill(value) })
    ;(async () => { ${body} })().then(
      (result) => parentPort.postMessage({ result }),
      (error) => parentPort.postMessage({ code: error.code ?? String(error) }),
    )`
  const started = new Worker(code, { eval: true, workerData })
  workers.push(started)
  const answer = new Promise((resolve, reject) => {
    started.once('message', resolve)
    started.once('error', reject)
  })
  return { worker: started, answer }
}

const inferHundred = `
  const model = attach(workerData.token)
  const base = workerData.base
  const outputs = await Promise.all(Array.from({ length: 100 }, (_, i) => model.infer(row(base + i))))
  const right = outputs.every((each, i) => each.output.data.every((value) => value === base + i))
  await model.close()
  return right`

// The built package is one module of this process, whichever thread loads it: one registry, one queue.
async function built(): Promise<typeof import('../../src/index.js')> {
  return (await import('../../dist/index.js' as string)) as typeof import('../../src/index.js')
}

it('four workers and their parent share one model and its queue', async () => {
  const { load } = await built()
  const model = await load('models/echo')
  const all = [1000, 2000, 3000, 4000].map((base) => worker(inferHundred, { token: model.share(), base }).answer)
  const own = await model.inferMany(Array.from({ length: 100 }, (_, i) => ({ input: new Float32Array(64).fill(i) })))
  expect(own.every((each, i) => floats(each.output)[63] === i)).toBe(true)
  expect(await Promise.all(all)).toEqual(all.map(() => ({ result: true })))
  expect(model.stats().requests).toMatchObject({ succeeded: 500, inFlight: 0 })
  await model.close()
})

it('workers classify pictures with the model of their parent', async () => {
  const { load } = await built()
  const model = await load('models/digits')
  const body = `
    const model = attach(workerData.token)
    const bytes = require('node:fs').readFileSync('test/data/seven.png')
    const results = await Promise.all(Array.from({ length: 10 }, () => model.classify(bytes, { topK: 1 })))
    await model.close()
    return results.map(({ top }) => top[0].label).join('')`
  const answers = [1, 2].map(() => worker(body, { token: model.share() }).answer)
  for (const answer of await Promise.all(answers)) expect(answer).toEqual({ result: '7777777777' })
  expect(model.stats().requests).toMatchObject({ succeeded: 20, inFlight: 0 })
  await model.close()
})

it('a worker that ends while it decodes leaves the model as it was', async () => {
  const { load } = await built()
  const model = await load('models/digits')
  const body = `
    const model = attach(workerData.token)
    const bytes = require('node:fs').readFileSync('test/data/seven.png')
    for (let i = 0; i < 50; i++) model.classify(bytes).catch(() => {})
    return 'begun'`
  for (let i = 0; i < 3; i++) {
    const { worker: victim, answer } = worker(body, { token: model.share() })
    expect(await answer).toEqual({ result: 'begun' })
    await victim.terminate()
  }
  const image = { image: new Float32Array(64) }
  await Promise.all(Array.from({ length: 200 }, () => model.infer(image)))
  expect(model.stats().requests.inFlight).toBe(0)
  await model.close()
})

it('a model that a worker loaded lives on with other handles when the worker ends', async () => {
  const { attach } = await built()
  const { worker: loader, answer } = worker(`
    const model = await load('models/echo')
    globalThis.keep = setInterval(() => {}, 1000)
    return model.share()`)
  const { result } = (await answer) as { result: Parameters<typeof attach>[0] }
  const model = attach(result)
  await loader.terminate()
  const { output } = await model.infer({ input: new Float32Array(64).fill(5) })
  expect(floats(output)[0]).toBe(5)
  await model.close()
  expect(() => attach(result)).toThrow(expect.objectContaining({ code: 'MODEL_CLOSED' }))
})

it('attach in a worker after close is MODEL_CLOSED', async () => {
  const { load } = await built()
  const model = await load('models/echo')
  const token = model.share()
  await model.close()
  expect(await worker('attach(workerData.token)', { token }).answer).toEqual({ code: 'MODEL_CLOSED' })
})

it('a worker terminated with requests in flight, twenty times, disturbs nobody', async () => {
  const { load } = await built()
  const model = await load('models/echo', { parameters: { busy_us: 300 }, maxQueueSize: 1024 })
  const token = model.share()
  const survivors = [1, 2, 3].map((base) =>
    worker(
      `const model = attach(workerData.token)
       parentPort.on('message', () => { stop = true })
       let stop = false, ended = 0, wrong = 0
       while (!stop) {
         const outputs = await Promise.all(Array.from({ length: 16 }, (_, i) => model.infer(row(workerData.base + i))))
         outputs.forEach((each, i) => { if (each.output.data[7] !== workerData.base + i) wrong++ })
         ended += 16
         await new Promise(setImmediate)
       }
       await model.close()
       return { ended: ended > 0, wrong }`,
      { token, base: base * 1000 },
    ),
  )
  for (let round = 0; round < 20; round++) {
    const { worker: victim } = worker(
      `const model = attach(workerData.token)
       const held = await model.claim()
       parentPort.postMessage('up')
       for (;;) await Promise.all(Array.from({ length: 32 }, () => model.infer(row(9)).catch(() => {})))`,
      { token },
    )
    await new Promise((resolve) => victim.once('message', resolve))
    await new Promise((resolve) => setTimeout(resolve, round % 7))
    await victim.terminate()
  }
  for (const { worker } of survivors) worker.postMessage('stop')
  expect(await Promise.all(survivors.map((each) => each.answer))).toEqual(
    survivors.map(() => ({ result: { ended: true, wrong: 0 } })),
  )
  const { output } = await model.infer({ input: new Float32Array(64).fill(5) })
  expect(floats(output)[0]).toBe(5)
  await model.close()
}, 60_000)

it('requests whose worker went before their results were read do not count as in flight', async () => {
  const { load } = await built()
  const model = await load('models/echo', { parameters: { busy_us: 300 } })
  for (let round = 0; round < 5; round++) {
    const { worker: victim } = worker(
      `const model = attach(workerData.token)
       parentPort.postMessage('up')
       for (;;) await Promise.all(Array.from({ length: 32 }, () => model.infer(row(9)).catch(() => {})))`,
      { token: model.share() },
    )
    await new Promise((resolve) => victim.once('message', resolve))
    await new Promise((resolve) => setTimeout(resolve, 5))
    await victim.terminate()
  }
  await expect.poll(() => model.stats().requests.inFlight, { timeout: 5000 }).toBe(0)
  await model.close()
})

it('a worker that ends by itself with a model loaded, in flight or idle, ends cleanly', async () => {
  const idle = await runChild(`
    const code = "const { load } = require('./dist/index.cjs'); load('models/mlp').then((m) => m.inferSync({ input: new Float32Array(64) }))"
    for (let i = 0; i < 5; i++) await new Promise((r) => inWorker(code).on('exit', r))
    console.log('done')`)
  expect(idle).toMatchObject({ code: 0, signal: null, stdout: 'done\n', stderr: '' })
  const busy = await runChild(`
    const code = "const { load } = require('./dist/index.cjs'); load('models/echo', { parameters: { busy_us: 100000 } }).then((m) => { m.infer({ input: new Float32Array(64) }); setTimeout(() => process.exit(0), 10) })"
    for (let i = 0; i < 5; i++) await new Promise((r) => inWorker(code).on('exit', r))
    console.log('done')`)
  expect(busy).toMatchObject({ code: 0, signal: null, stdout: 'done\n', stderr: '' })
})

it('process.exit while four workers have requests in flight ends with its code', async () => {
  for (let i = 0; i < 5; i++) {
    const end = await runChild(`
      const model = await slowEcho(1)
      const code = "const { attach } = require('./dist/index.cjs'); const w = require('node:worker_threads'); const m = attach(w.workerData); w.parentPort.postMessage(1); (async () => { for (;;) await Promise.all(Array.from({ length: 8 }, () => m.infer({ input: new Float32Array(64) }))) })()"
      const up = Array.from({ length: 4 }, () => new Promise((r) => inWorker(code, model.share()).once('message', r)))
      await Promise.all(up)
      await sleep(20)
      process.exit(4)`)
    expect(end).toMatchObject({ code: 4, signal: null })
  }
})

it('a worker terminated in the middle of a load or a close ends alone', async () => {
  const end = await runChild(
    `const code = "const { load } = require('./dist/index.cjs'); const w = require('node:worker_threads'); (async () => { for (;;) { w.parentPort.postMessage(1); await (await load(w.workerData)).close() } })()"
     for (const path of ['models/mlp', 'models/echo']) {
       for (let i = 0; i < 15; i++) {
         const worker = inWorker(code, path)
         await new Promise((resolve) => worker.once('message', resolve))
         // at some point of the load, or of the close after it
         await sleep(i * 2)
         await worker.terminate()
       }
     }
     console.log('done')`,
    { timeoutMs: 60_000 },
  )
  expect(end).toEqual({ code: 0, signal: null, stdout: 'done\n', stderr: '' })
}, 70_000)
