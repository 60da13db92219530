// What a process may be doing when it ends, the ways in which it may end, and what must be seen then. exit.test.ts runs
// each pair once, exits.mjs a hundred times.
import { runChild } from './child.mjs'

/**
 * Kinds of work. Each defines `submit()`, which starts a request; requests run one at a time, so that of several the
 * first computes while the others wait. `endless`: a run does not end by itself.
 */
export const works = [
  {
    name: 'the null engine',
    setup: `const model = await load('models/echo', { max_batch_size: 1, parameters: { busy_us: 10000 } })
      const submit = () => model.infer(row(1))`,
  },
  {
    name: 'the null engine, asynchronous',
    setup: `const parameters = { busy_us: 10000, completion: 'async' }
      const model = await load('models/echo', { max_batch_size: 1, parameters })
      const submit = () => model.infer(row(1))`,
  },
  {
    name: 'ONNX Runtime',
    setup: 'const { model, run: submit } = await slowOnnx(30n)',
  },
  {
    name: 'ONNX Runtime in one long run',
    setup: 'const { model, run: submit } = await slowOnnx(200_000_000n)',
    endless: true,
  },
  {
    name: 'ONNX Runtime and the null engine in two workers',
    setup: `const model = await load('models/echo', { max_batch_size: 1, parameters: { busy_us: 10000 } })
      const submit = () => model.infer(row(1))
      const code = \`
        const { attach, load } = require('./dist/index.cjs')
        const { parentPort, workerData } = require('node:worker_threads')
        let stop = false
        parentPort.once('message', () => { stop = true })
        const loop = (run) => { const again = () => stop || run().then(again, again); again(); again(); again() }
        const echo = attach(workerData)
        loop(() => echo.infer({ input: new Float32Array(64) }))
        load('models/mlp').then((mlp) => {
          loop(() => mlp.infer({ input: new Float32Array(64) }))
          parentPort.postMessage('up')
        })\`
      const workers = [inWorker(code, model.share()), inWorker(code, model.share())]
      await Promise.all(workers.map((each) => new Promise((resolve) => each.once('message', resolve))))`,
  },
]

/** Six requests in flight, each followed by another until `stop`; then a moment that differs from run to run. */
const inFlight = (delayMs) => `
  let [stop, submitted, ended] = [false, 0, 0]
  const again = () => { ended++; if (!stop) start() }
  const start = () => { submitted++; submit().then(again, again) }
  for (let i = 0; i < 6; i++) start()
  await sleep(${delayMs})
`
const finish = `
  stop = true
  if (typeof workers !== 'undefined') for (const each of workers) each.postMessage('stop')
  process.on('exit', () => console.log(ended === submitted ? 'all ended' : ended + ' of ' + submitted + ' ended'))`
const own = (name, act) => `process.on('${name}', function handler() { ${act} })`

/** `end`: how the child ends itself. `signal`: what it is sent. `endless: false`: only for runs that end. */
export const ways = [
  {
    name: 'returning waits for all and ends with 0',
    end: finish,
    expect: { code: 0, stdout: 'all ended\n' },
    endless: false,
  },
  {
    name: 'returning with everything unref’ed ends with 0',
    end: `model.unref(); if (typeof workers !== 'undefined') for (const each of workers) each.unref()`,
    expect: { code: 0 },
  },
  { name: 'process.exit(7) ends with 7', end: 'process.exit(7)', expect: { code: 7 } },
  {
    name: 'process.exit(7) in the turn of a submit ends with 7',
    end: 'submit(); process.exit(7)',
    expect: { code: 7 },
  },
  {
    name: 'process.exit(7) where a request continues ends with 7',
    end: 'submit().then(() => process.exit(7))',
    expect: { code: 7 },
    endless: false,
  },
  {
    name: 'an uncaught exception ends with 1 and the user’s stack',
    end: `setImmediate(function userCode() { throw new Error('mine') })`,
    expect: { code: 1, stderr: /Error: mine\n\s+at (Immediate\.)?userCode/ },
  },
  {
    name: 'an unhandled rejection ends with 1 and the user’s stack',
    end: `setImmediate(function userCode() { Promise.reject(new Error('mine')) })`,
    expect: { code: 1, stderr: /Error: mine\n\s+at (Immediate\.)?userCode/ },
  },
  { name: 'SIGTERM without a handler kills', signal: 'SIGTERM', expect: { signal: 'SIGTERM' } },
  { name: 'SIGINT without a handler kills', signal: 'SIGINT', expect: { signal: 'SIGINT' } },
  {
    name: 'SIGTERM with a handler that exits ends with its code',
    end: own('SIGTERM', 'process.exit(9)'),
    signal: 'SIGTERM',
    expect: { code: 9 },
  },
  {
    name: 'SIGINT with a handler that exits ends with its code',
    end: own('SIGINT', 'process.exit(10)'),
    signal: 'SIGINT',
    expect: { code: 10 },
  },
]

export const fits = (work, way) => !(work.endless && way.endless === false)

/** Runs one process with `work` in flight that ends in this `way`; resolves to what was wrong, or undefined. */
export async function runOnce(work, way, delayMs) {
  const ready = way.signal ? "console.log('ready'); setInterval(() => {}, 1000)" : ''
  const end = await runChild(`${work.setup}\n${inFlight(delayMs)}\n${way.end ?? ''}\n${ready}`, {
    timeoutMs: 60_000,
    onOutput: (text, kill) => way.signal && text.includes('ready') && kill(way.signal),
  })
  return wrong(end, way)
}

function wrong(end, { expect, signal }) {
  const { code = null, signal: killedBy = null, stderr = '', stdout = signal ? 'ready\n' : '' } = expect
  const same = (text, right) => (typeof right === 'string' ? text === right : right.test(text))
  if (end.code === code && end.signal === killedBy && same(end.stdout, stdout) && same(end.stderr, stderr))
    return undefined
  return JSON.stringify(end)
}
