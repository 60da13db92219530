import { spawnSync } from 'node:child_process'
import { expect, it } from 'vitest'
import { runChild } from '../exit/child.js'

it('sixty workers terminated under load take nothing with them and leave nothing behind', () => {
  const program = ['--expose-gc', '--no-warnings', 'test/worker-threads/terminations.mjs', '--count', '60']
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, program, {
    encoding: 'utf8',
    timeout: 170_000,
  })
  expect({ status, signal, stderr, problems: JSON.parse(stdout || '{}').problems }).toEqual({
    status: 0,
    signal: null,
    stderr: '',
    problems: [],
  })
}, 180_000)

it('a worker terminated inside a native call that makes objects ends alone', async () => {
  const end = await runChild(
    `const model = await slowEcho(0)
     await model.infer(row(1))
     const code = \`
       const { attach, load } = require('./dist/index.cjs')
       const { workerData, parentPort } = require('node:worker_threads')
       parentPort.postMessage('up')
       const loads = async () => { for (;;) await (await load('models/mlp')).close() }
       const attaches = async () => {
         for (;;) {
           const model = attach(workerData)
           for (let i = 0; i < 50; i++) model.stats()
           await model.close()
         }
       }
       loads(); attaches()\`
     for (let i = 0; i < 30; i++) {
       const victim = inWorker(code, model.share())
       await new Promise((resolve) => victim.once('message', resolve))
       await sleep(Math.random() * 15)
       await victim.terminate()
     }
     await model.infer(row(1))
     console.log(model.stats().requests.inFlight)
     await model.close()`,
    { timeoutMs: 120_000 },
  )
  expect(end).toMatchObject({ code: 0, signal: null, stdout: '0\n', stderr: '' })
}, 130_000)

it('a worker terminated while pictures are decoded ends alone', async () => {
  const end = await runChild(
    `const { default: sharp } = await import('sharp')
     const picture = { width: 900, height: 700, channels: 3, background: 'teal' }
     const bytes = await sharp({ create: picture }).jpeg().toBuffer()
     const code = \`
       const { load } = require('./dist/index.cjs')
       const { workerData, parentPort } = require('node:worker_threads')
       const lanes = async () => {
         const model = await load('models/vision')
         parentPort.postMessage('up')
         for (;;) await Promise.all(Array.from({ length: 6 }, () => model.classify(workerData)))
       }
       lanes()\`
     for (let i = 0; i < 20; i++) {
       const victim = inWorker(code, bytes)
       await new Promise((resolve) => victim.once('message', resolve))
       await sleep(Math.random() * 25)
       await victim.terminate()
     }
     console.log('alive')`,
    { timeoutMs: 120_000 },
  )
  expect(end).toMatchObject({ code: 0, signal: null, stdout: 'alive\n', stderr: '' })
}, 130_000)
