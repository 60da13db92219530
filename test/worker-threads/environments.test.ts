import { expect, it, vi } from 'vitest'
import { runChild } from '../exit/child.js'

// Each in a process of its own: what goes wrong here aborts it. Compute threads run at nice 19, so a busy machine may
// keep them waiting for long.
vi.setConfig({ testTimeout: 120_000 })

/** Helpers of the children: what a model's slots are, how many threads there are, and waiting for what must become true. */
const helpers = `
  import { readdirSync } from 'node:fs'
  import vm from 'node:vm'
  const threads = () => readdirSync('/proc/self/task').length
  const until = async (done) => {
    for (let i = 0; i < 12_000 && !done(); i++) { globalThis.gc?.(); await sleep(5) }
    return done()
  }
  const slots = async (token) => {
    const handles = []
    let [all, before] = [0, -1]
    while (all !== before) {
      before = all
      const handle = attach(token)
      handles.push(handle)
      while (handle.tryClaim()) all++
    }
    await Promise.all(handles.map((each) => each.close()))
    return all
  }
  const message = (worker) => new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))
  const exited = (worker) => new Promise((resolve) => worker.once('exit', resolve))
`

async function child(code: string, args: string[] = []): Promise<string> {
  const end = await runChild(helpers + code, { args, timeoutMs: 110_000 })
  expect(end).toMatchObject({ code: 0, signal: null, stderr: '' })
  return end.stdout
}
const gc = ['--expose-gc']

it('the main thread, six workers and workers inside workers load the addon and share one model', async () => {
  const out = await child(`
    const model = await load('models/echo')
    const code = \`
      const { attach } = require('./dist/index.cjs')
      const { parentPort, workerData, Worker } = require('node:worker_threads')
      const { token, depth, value, code } = workerData
      const model = attach(token)
      const below = depth === 0 ? [] : [new Worker(code, { eval: true, workerData: { token, depth: depth - 1, value: value + 100, code } })]
      Promise.all([
        model.infer({ input: new Float32Array(64).fill(value) }).then(({ output }) => Number(output.data.every((x) => x === value))),
        ...below.map((each) => new Promise((resolve) => each.once('message', resolve))),
      ]).then(async (right) => {
        await model.close()
        parentPort.postMessage(right.reduce((a, b) => a + b, 0))
      })\`
    const all = Array.from({ length: 6 }, (_, i) => inWorker(code, { token: model.share(), depth: 2, value: i, code }))
    const ends = all.map(exited)
    console.log(String(await Promise.all(all.map(message))), (await model.infer(row(5))).output.data[0])
    await Promise.all(ends)
    console.log(model.stats().requests.succeeded, model.stats().requests.inFlight)
    await model.close()`)
  expect(out).toBe('3,3,3,3,3,3 5\n19 0\n')
})

it('code in a vm context may use a model, with arrays, signals and errors of that context', async () => {
  const out = await child(`
    const model = await load('models/echo')
    const context = vm.createContext({ model, console, subten, AbortController })
    await vm.runInContext(\`(async () => {
      const { output } = await model.infer({ input: new Float32Array(64).fill(3) })
      console.log(output.data.every((x) => x === 3), model.inferSync({ input: new Float32Array(64).fill(4) }).output.data[0])
      const reason = new Error('theirs')
      const controller = new AbortController()
      const running = model.infer({ input: new Float32Array(64) }, { signal: controller.signal })
      controller.abort(reason)
      console.log(await running.catch((error) => error === reason))
      const same = subten.attach(model.share())
      console.log((await same.infer({ input: new Float32Array(64).fill(6) })).output.data[0])
      await same.close()
    })()\`, context)
    await model.close()`)
  expect(out).toBe('true 4\ntrue\n6\n')
})

it('both module formats and a second dlopen of the addon in one environment use one registry', async () => {
  const out = await child(`
    import { createRequire } from 'node:module'
    const require = createRequire(process.cwd() + '/')
    const other = require('./dist/index.cjs')
    const again = { exports: {} }
    process.dlopen(again, require.resolve('./build/Release/subten.node'))
    const model = await load('models/echo')
    const same = other.attach(model.share())
    console.log((await same.infer(row(2))).output.data[0], again.exports.version === subtenVersion(require))
    function subtenVersion(require) { return require('./package.json').version }
    await Promise.all([same.close(), model.close(), same.close(), model.close()])`)
  expect(out).toBe('2 true\n')
})

it('a handle closed in one environment leaves requests of another alone, both ways round', async () => {
  const out = await child(`
    const model = await slowEcho(5, { max_batch_size: 1 })
    const code = \`
      const { attach } = require('./dist/index.cjs')
      const { parentPort, workerData } = require('node:worker_threads')
      const model = attach(workerData)
      const all = Array.from({ length: 8 }, (_, i) => model.infer({ input: new Float32Array(64).fill(i) }))
      parentPort.postMessage('in flight')
      parentPort.once('message', async () => {
        const right = (await Promise.all(all)).every(({ output }, i) => output.data[0] === i)
        await Promise.all([model.close(), model.close(), model[Symbol.asyncDispose]()])
        parentPort.postMessage(right)
      })\`
    const worker = inWorker(code, model.share())
    await message(worker)
    const own = Array.from({ length: 8 }, (_, i) => model.infer(row(i)))
    worker.postMessage('finish')
    console.log(await message(worker), (await Promise.all(own)).every(({ output }, i) => output.data[0] === i))
    const second = inWorker(code, model.share())
    const ended = exited(second)
    await message(second)
    await model.close()
    second.postMessage('finish')
    console.log(await message(second))
    await ended`)
  expect(out).toBe('true true\ntrue\n')
})

it('an environment that ends with claimed slots, written, running and done, gives every slot back', async () => {
  const out = await child(`
    const model = await slowEcho(1, { maxQueueSize: 64 })
    const token = model.share()
    const before = await slots(token)
    for (const way of ['process.exit()', 'for (;;) {}', 'parentPort.close()']) {
      const worker = inWorker(\`
        const { attach } = require('./dist/index.cjs')
        const { parentPort, workerData } = require('node:worker_threads')
        const model = attach(workerData)
        globalThis.held = []
        for (let slot = model.tryClaim(); slot; slot = model.tryClaim()) {
          slot.inputs.input.data.fill(7)
          held.push(slot)
        }
        Promise.all(held.slice(0, 4).map((slot) => slot.submit())).then(() => {
          for (const slot of held.slice(8)) slot.submit()
          parentPort.postMessage(held.length)
          parentPort.once('message', () => { \${way} })
        })\`, token)
      const held = await message(worker)
      worker.postMessage('end')
      if (way.startsWith('for')) await worker.terminate()
      else await exited(worker)
      console.log(held > 8, await until(() => model.stats().requests.inFlight === 0), (await slots(token)) === before)
    }
    await model.close()`)
  expect(out).toBe('true true true\n'.repeat(3))
})

it.each([
  ['the null engine', `await load('models/echo', { max_batch_size: 1, parameters: { busy_us: 20000 } })`, 'row(3)'],
  ['ONNX Runtime', `await load('models/digits', { max_batch_size: 1 })`, '{ image: new Float32Array(64) }'],
])(
  'a model of %s that is garbage-collected with requests in flight answers them, then goes',
  async (_, load, inputs) => {
    const out = await child(
      `let collected = 0
     const registry = new FinalizationRegistry(() => { collected++ })
     const before = threads()
     let token, ended = 0
     const start = async () => {
       const model = ${load}
       token = model.share()
       registry.register(model)
       for (let i = 0; i < 8; i++) model.infer(${inputs}).then(() => ended++)
     }
     await start()
     for (let i = 0; i < 5; i++) { globalThis.gc(); await new Promise(setImmediate) }
     console.log(await until(() => ended === 8), await until(() => collected === 1))
     const gone = () => { try { attach(token).close(); return false } catch (error) { return error.code === 'MODEL_CLOSED' } }
     console.log(await until(gone))`,
      gc,
    )
    expect(out).toBe('true true\ntrue\n')
  },
)

it('handles that are forgotten in many environments are collected, and the model with the last', async () => {
  const out = await child(
    `let [token, threadsBefore] = [undefined, threads()]
     const code = \`
       const { attach } = require('./dist/index.cjs')
       const { parentPort, workerData } = require('node:worker_threads')
       let ended = 0
       const use = async () => { for (let i = 0; i < 20; i++) { attach(workerData).infer({ input: new Float32Array(64) }).then(() => ended++) } }
       use()
       const timer = setInterval(() => { globalThis.gc?.(); if (ended === 20) { clearInterval(timer); parentPort.postMessage('ended') } }, 5)\`
     const use = async () => {
       const model = await slowEcho(1)
       token = model.share()
       const workers = Array.from({ length: 3 }, () => inWorker(code, token))
       await Promise.all(workers.flatMap((each) => [message(each), exited(each)]))
       console.log(model.stats().requests.succeeded, model.stats().requests.inFlight)
     }
     await use()
     const gone = () => { try { attach(token).close(); return false } catch (error) { return error.code === 'MODEL_CLOSED' } }
     console.log(await until(gone))`,
    gc,
  )
  expect(out).toBe('60 0\ntrue\n')
})

it('an endless run ends with the worker that asked for it, and with an abort: the engine serves the others', async () => {
  const out = await child(`
    const { model } = await slowOnnx(1n)
    const inputs = (turns) => ({ x: new Float32Array(4).fill(0.5), turns: BigInt64Array.of(turns) })
    const worker = inWorker(\`
      const { attach } = require('./dist/index.cjs')
      const { parentPort, workerData } = require('node:worker_threads')
      attach(workerData).infer({ x: new Float32Array(4), turns: BigInt64Array.of(200_000_000n) })
      setTimeout(() => parentPort.postMessage('computing'), 100)\`, model.share())
    await message(worker)
    const controller = new AbortController()
    const behind = model.infer(inputs(200_000_000n), { signal: controller.signal })
    await worker.terminate()
    setTimeout(() => controller.abort('enough'), 100)
    console.log(await behind.catch((reason) => reason), (await model.infer(inputs(2n))).y.shape.join())
    await model.close()`)
  expect(out).toBe('enough 1,4\n')
})

it('a worker terminated while it loads or closes a model leaves no thread behind', async () => {
  const out = await child(`
    const first = await load('models/mlp')
    await first.infer({ input: new Float32Array(64) })
    const before = threads()
    const code = \`
      const { load } = require('./dist/index.cjs')
      require('node:worker_threads').parentPort.postMessage('up')
      const forever = async (path) => { for (;;) await (await load(path)).close() }
      forever('models/mlp'); forever('models/echo')\`
    for (let i = 0; i < 15; i++) {
      const worker = inWorker(code)
      await message(worker)
      await sleep(i * 2)
      await worker.terminate()
    }
    console.log(await until(() => threads() <= before))
    await first.close()`)
  expect(out).toBe('true\n')
})
