// What an addon must do to be of use, as one program that needs nothing but Node:
//   node use.mjs <part of the path of the addon that must be loaded> [subten's ES module, that of this checkout by default]
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { Worker } from 'node:worker_threads'

const module = process.argv[3] ? pathToFileURL(process.argv[3]) : new URL('../../dist/index.js', import.meta.url)
const { load, SubtenError } = await import(module.href)
const root = new URL('../..', import.meta.url).pathname
const held = JSON.parse(readFileSync(`${root}test/data/digits-heldout.json`, 'utf8'))

const model = await load(`${root}models/digits`)
assert.ok(readFileSync('/proc/self/maps', 'utf8').includes(process.argv[2]), `${process.argv[2]} is not loaded`)

const pixels = (image) => Float32Array.from(image.flat(), (value) => value / 16)
const rows = held.images.slice(0, 60)
const answers = await Promise.all(rows.map((image) => model.infer({ image: pixels(image) })))
const right = answers.filter(({ probabilities }, i) => {
  const values = [...probabilities.data]
  return values.indexOf(Math.max(...values)) === held.labels[i]
}).length
assert.ok(right >= 57, `${right} of ${rows.length} digits are right`)

await assert.rejects(model.infer({ image: new Float32Array(3) }), (error) => error instanceof SubtenError)

await assert.rejects(model.infer({ image: pixels(rows[0]) }, { signal: AbortSignal.abort() }))

const share = model.share()
const inWorker = new Worker(
  `const { workerData, parentPort } = require('node:worker_threads')
   import(workerData.module).then(async ({ attach }) => {
     const model = attach(workerData.share)
     const { probabilities } = await model.infer({ image: new Float32Array(64) })
     await model.close()
     parentPort.postMessage(probabilities.data.length)
   })`,
  { eval: true, workerData: { share, module: module.href } },
)
assert.equal(await new Promise((done, fail) => inWorker.once('message', done).once('error', fail)), 10)
await inWorker.terminate()
await model.close()
console.log(
  `${process.arch} ${process.version}: ${right} of ${rows.length} held-out digits right, and a worker inferred`,
)
