import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { runChild } from '../exit/child.js'
import { matMulModel } from './onnx-file.js'

// What users of onnxruntime-node reported, by thread, as it would look with subten. `node
// test/reported/with-onnxruntime-node.mjs` plays the same scenarios with the onnxruntime-node that is installed here.

const directory = mkdtempSync(join(tmpdir(), 'subten-reported-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

async function child(code: string, args: string[] = []): Promise<string> {
  const end = await runChild(code, { args, timeoutMs: 110_000 })
  expect(end).toMatchObject({ code: 0, signal: null, stderr: '' })
  return end.stdout
}

describe('crash with worker_threads', () => {
  // "When starting an instance, it runs normally, but after more than one, an exception will be thrown": HandleScope
  // without proper locking, since the constructor of tensors belonged to the first thread that had loaded the addon.
  it('onnxruntime#24486: several threads make a session each and run it, again and again', async () => {
    const out = await child(`
      const code = \`
        const { load } = require('./dist/index.cjs')
        const { parentPort } = require('node:worker_threads')
        ;(async () => {
          let right = 0
          const model = await load('models/mlp')
          const first = model.inferSync({ input: new Float32Array(64).fill(1) }).output.data
          for (let i = 0; i < 25; i++) {
            const { output } = await model.infer({ input: new Float32Array(64).fill(1) })
            if (output.shape.join() === '1,8' && output.data.every((x, k) => x === first[k])) right++
          }
          await model.close()
          parentPort.postMessage(right)
        })()\`
      const all = Array.from({ length: 5 }, () => new Promise((resolve, reject) => inWorker(code).once('message', resolve).once('error', reject)))
      const model = await load('models/mlp')
      await Promise.all(Array.from({ length: 25 }, () => model.infer({ input: new Float32Array(64) })))
      console.log(String(await Promise.all(all)))
      await model.close()`)
    expect(out).toBe('25,25,25,25,25\n')
  }, 120_000)

  // "When creating a bunch of worker threads, they randomly crash when importing onnxruntime-node. The more Workers
  // created, the more frequently the crash occurs."
  it('onnxruntime#20084: a bunch of workers is created at once and each loads the addon and the engine', async () => {
    const out = await child(`
      const code = "const { load } = require('./dist/index.cjs'); load('models/mlp')"
      let codes = []
      for (let round = 0; round < 3; round++) {
        const all = Array.from({ length: 16 }, () => new Promise((resolve) => inWorker(code).once('exit', resolve)))
        codes = codes.concat(await Promise.all(all))
      }
      console.log(codes.length, codes.every((each) => each === 0))`)
    expect(out).toBe('48 true\n')
  }, 120_000)
})

describe('crash at exit', () => {
  // "mutex lock failed: Invalid argument" after the inference, "when everything seems to be closing down": static state
  // of the library was destroyed while its threads, or those of another addon, still ran.
  it.each([
    ['returns', ''],
    ['calls process.exit(0)', 'process.exit(0)'],
    ['calls process.exit(0) while a worker uses the engine', 'await busyWorker(); process.exit(0)'],
  ])(
    'onnxruntime#24579: a process that has run inference and %s, its model left open, ends with 0',
    async (_, end) => {
      for (let i = 0; i < 5; i++) {
        const out = await child(`
        const busyWorker = () => new Promise((resolve) => inWorker(\`
          const { load } = require('./dist/index.cjs')
          load('models/mlp').then(async (model) => {
            require('node:worker_threads').parentPort.postMessage('up')
            for (;;) await model.infer({ input: new Float32Array(64) })
          })\`).once('message', resolve))
        const models = await Promise.all([load('models/digits'), load('models/mlp')])
        await Promise.all(models.map((each) => each.infer({ [each.inputs[0].name]: new Float32Array(64) })))
        console.log('ran')
        ${end}`)
        expect(out).toBe('ran\n')
      }
    },
    120_000,
  )
})

describe('leak over create and release', () => {
  // "325 MB when loading the session once. When loading and releasing the session 10 times, it bloats to 994 MB."
  it('onnxruntime#25325: a model of 32 MiB that is loaded and closed thirty times takes no more than loaded once', async () => {
    const file = join(directory, 'large.onnx')
    writeFileSync(file, matMulModel(4, 2 ** 21))
    const out = await child(
      `const once = async () => {
         const model = await load(${JSON.stringify(file)})
         await model.infer({ x: { data: new Float32Array(4), shape: [1, 4] } })
         await model.close()
       }
       const rss = async () => { for (let i = 0; i < 5; i++) { globalThis.gc(); await sleep(10) }; return process.memoryUsage().rss / 2 ** 20 }
       for (let i = 0; i < 5; i++) await once()
       const before = await rss()
       for (let i = 0; i < 30; i++) await once()
       console.log((await rss()) - before)`,
      ['--expose-gc'],
    )
    expect(Number(out)).toBeLessThan(64) // of the 960 MiB that were loaded meanwhile
  }, 120_000)
})

describe('blocked event loop', () => {
  // "Running computationally intensive things on the event loop will stop everything else from happening while it is
  // running, e.g. a web server from answering requests."
  it('onnxruntime#19611: a web server in the same thread answers while a run computes', async () => {
    const out = await child(`
      import { createServer } from 'node:http'
      const { model, run } = await slowOnnx(200_000_000n) // would take hours: it ends because the process does
      const server = createServer((_, response) => response.end('answer'))
      await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
      let ended = false
      run().finally(() => { ended = true }).catch(() => {})
      let answers = 0
      for (let i = 0; i < 50; i++) {
        const response = await fetch('http://127.0.0.1:' + server.address().port)
        if ((await response.text()) === 'answer') answers++
      }
      console.log(answers, ended, model.stats().requests.inFlight)
      process.exit(0)`)
    expect(out).toBe('50 false 1\n')
  }, 120_000)
})

describe('no abort', () => {
  // "An AbortController as used by fetch() would be great"; "there is no way to abort inside the OrtRun function call".
  it('onnxruntime#23703: aborting rejects a run that computes with the signal’s reason and frees the engine', async () => {
    const out = await child(`
      const { model } = await slowOnnx(1n)
      const inputs = (turns) => ({ x: new Float32Array(4).fill(0.5), turns: BigInt64Array.of(turns) })
      const controller = new AbortController()
      const long = model.infer(inputs(200_000_000n), { signal: controller.signal })
      const waiting = model.infer(inputs(200_000_000n), { signal: AbortSignal.any([controller.signal]) })
      await sleep(50)
      const reason = new Error('no longer wanted')
      controller.abort(reason)
      const ended = await Promise.allSettled([long, waiting])
      console.log(ended.every((each) => each.reason === reason))
      const { y } = await model.infer(inputs(2n))
      console.log(y.shape.join())
      await model.close()`)
    expect(out).toBe('true\n1,4\n')
  }, 120_000)
})

describe('cleanup hook registered twice', () => {
  // Calling the addon's initialisation twice in one environment aborted: "Assertion failed: (insertion_info.second)".
  it('onnxruntime#32464: the addon is loaded and set up twice in each of two environments, which end normally', async () => {
    const out = await child(`
      const code = \`
        const addons = [0, 1, 2].map(() => {
          const module = { exports: {} }
          process.dlopen(module, require.resolve('./build/Release/subten.node'))
          module.exports.configure({ onnxruntimeLibrary: '' })
          module.exports.configure({ onnxruntimeLibrary: '' })
          return module.exports
        })
        const packages = [0, 1].map(() => {
          for (const key of Object.keys(require.cache)) delete require.cache[key]
          return require('./dist/index.cjs')
        })
        ;(async () => {
          for (const each of packages) {
            const [model, other] = [await each.load('models/mlp'), await each.load('models/mlp')]
            await Promise.all([model.close(), model.close(), each.attach(other.share()).close()])
            await model.close()
          }
          console.log(addons.length, packages[0] !== packages[1])
        })()\`
      await new Promise((resolve) => inWorker(code).once('exit', resolve))
      import { createRequire } from 'node:module'
      const require = createRequire(process.cwd() + '/')
      await eval(code)`)
    expect(out).toBe('3 true\n3 true\n')
  }, 120_000)
})
