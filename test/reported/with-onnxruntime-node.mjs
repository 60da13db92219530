// What the installed onnxruntime-node does where onnxruntime-node.test.ts says what subten does:
//   node --expose-gc test/reported/with-onnxruntime-node.mjs
// Prints a line a thread. Documentation, not a test: some were fixed upstream, and some need another system. Version
// 1.30.0 on Node 26.10 and Linux x64: no timer fires during a run of two seconds (#19611); a signal is ignored and the run
// ends in full (#23703); a worker terminated while it runs aborts the process ("terminate called after throwing an
// instance of 'Napi::Error'"). The others do not show.
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const slow = `await ort.InferenceSession.create('test/data/onnx/slow.onnx')`
const feeds = (turns) =>
  `{ x: new ort.Tensor('float32', new Float32Array(4), [1, 4]), turns: new ort.Tensor('int64', BigInt64Array.of(${turns}n), []) }`
const mlp = `const session = await ort.InferenceSession.create('models/mlp/1/model.onnx')
  const run = () => session.run({ input: new ort.Tensor('float32', new Float32Array(64), [1, 64]) })`

const scenarios = {
  'onnxruntime#24486 sessions in several workers': `
    const code = \`const ort = require('onnxruntime-node'); (async () => { ${mlp}; for (let i = 0; i < 25; i++) await run() })()\`
    const codes = await Promise.all(Array.from({ length: 5 }, () => new Promise((r) => new Worker(code, { eval: true, execArgv: [] }).on('error', () => {}).on('exit', r))))
    console.log('exit codes of the workers: ' + codes)`,
  'onnxruntime#20084 a bunch of workers loads the addon': `
    const code = "require('onnxruntime-node')"
    const codes = await Promise.all(Array.from({ length: 16 }, () => new Promise((r) => new Worker(code, { eval: true, execArgv: [] }).on('error', () => {}).on('exit', r))))
    console.log('exit codes of the workers: ' + codes)`,
  'a worker terminated while it runs, 20 times (#20084, #13086)': `
    const code = \`const ort = require('onnxruntime-node'); (async () => { ${mlp}; for (;;) await run() })()\`
    for (let i = 0; i < 20; i++) {
      const worker = new Worker(code, { eval: true, execArgv: [] })
      await new Promise((r) => worker.once('online', r))
      await new Promise((r) => setTimeout(r, 40 + 10 * i))
      await worker.terminate()
    }
    console.log('20 terminated')`,
  'onnxruntime#24579 exit with a session open': `${mlp}; await run(); console.log('ran'); process.exit(0)`,
  'onnxruntime#25325 thirty sessions of 32 MiB': `
    const { matMulModel } = await import('./test/reported/onnx-file.ts').catch(() => ({}))
    if (!matMulModel) { console.log('needs a Node that reads TypeScript'); process.exit(0) }
    const bytes = matMulModel(4, 2 ** 21)
    const rss = () => { for (let i = 0; i < 5; i++) gc(); return process.memoryUsage().rss / 2 ** 20 }
    const once = async () => (await ort.InferenceSession.create(bytes)).release()
    for (let i = 0; i < 5; i++) await once()
    const before = rss()
    for (let i = 0; i < 30; i++) await once()
    console.log('RSS grew by ' + Math.round(rss() - before) + ' MiB')`,
  'onnxruntime#19611 timers during a run of a second or so': `
    const session = ${slow}
    let ticks = 0
    setInterval(() => ticks++, 5)
    await new Promise((r) => setTimeout(r, 50))
    ticks = 0
    const since = performance.now()
    await session.run(${feeds(3000)})
    console.log(ticks + ' ticks of 5 ms in ' + Math.round(performance.now() - since) + ' ms')
    process.exit(0)`,
  'onnxruntime#23703 abort': `
    const session = ${slow}
    const controller = new AbortController()
    const since = performance.now()
    setTimeout(() => controller.abort(), 20)
    const how = await session.run(${feeds(3000)}, { signal: controller.signal }).then(() => 'ended in full', (e) => 'rejected: ' + e.message)
    console.log(how + ' after ' + Math.round(performance.now() - since) + ' ms, aborted: ' + controller.signal.aborted)`,
  'onnxruntime#32464 the addon set up twice': `
    const require = createRequire(process.cwd() + '/')
    const key = () => Object.keys(require.cache).filter((each) => each.includes('onnxruntime'))
    for (let i = 0; i < 2; i++) { require('onnxruntime-node'); for (const each of key()) delete require.cache[each] }
    console.log('set up twice')`,
}

for (const [name, code] of Object.entries(scenarios)) {
  const whole = `import ort from 'onnxruntime-node'
    import { Worker } from 'node:worker_threads'
    import { createRequire } from 'node:module'
    ${code}`
  const { status, signal, stdout, stderr } = spawnSync(
    process.execPath,
    ['--expose-gc', '--no-warnings', '--input-type=module', '-e', whole],
    { encoding: 'utf8', timeout: 120_000, cwd: fileURLToPath(new URL('../..', import.meta.url)) },
  )
  const end = status === 0 ? '' : ` [ended by ${signal ?? `exit code ${status}`}: ${stderr.trim().split('\n')[0]}]`
  console.log(`${name}: ${stdout.trim()}${end}`)
}
