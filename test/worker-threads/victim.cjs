// A worker that uses shared models in every way at once, for ever, until it is terminated. See terminations.mjs.
// CommonJS: Node's loader of ES modules leaves files open when its worker is terminated.
const { parentPort, workerData } = require('node:worker_threads')
const { attach, load } = require('../../dist/index.cjs')
const { inputsOf, random } = require('./load.cjs')

const next = random(workerData.seed)
const pick = (list) => list[Math.floor(next() * list.length)]
// A refusal, an abort or a passed deadline is part of the load; anything else ends the worker with an error.
const expected = new Set(['QUEUE_FULL', 'DEADLINE_EXCEEDED', 'SLOT_RELEASED'])
const part = (promise) =>
  promise.catch((error) => {
    if (error !== aborted && !expected.has(error.code)) throw error
  })
const aborted = new Error('aborted by the load')
const turn = () => new Promise(setImmediate)

if (workerData.endsItself) setTimeout(() => process.exit(0), next() * 60)
const models = workerData.tokens.map((token) => attach(token))

/** Each lane is one round of one kind of use. */
const lanes = {
  async infer() {
    const model = pick(models)
    await Promise.all(Array.from({ length: 8 }, () => part(model.infer(inputsOf(model, 1)))))
  },
  async rows() {
    const model = pick(models)
    await part(model.infer(inputsOf(model, 2, 5)))
  },
  async many() {
    const model = pick(models)
    await part(model.inferMany(Array.from({ length: 32 }, () => inputsOf(model, 3))))
  },
  async slots() {
    const model = pick(models)
    const slot = await model.claim()
    Object.values(slot.inputs)[0].data.fill(4)
    const result = part(slot.submit())
    if (next() < 0.2) slot.release() // while it runs
    await result
    slot.release()
  },
  async forgottenSlots() {
    pick(models).tryClaim()
    await turn()
  },
  async aborts() {
    const model = pick(models)
    const controller = new AbortController()
    const running = Array.from({ length: 4 }, () =>
      part(model.infer(inputsOf(model, 5), { signal: controller.signal })),
    )
    if (next() < 0.5) await turn()
    controller.abort(aborted)
    await Promise.all(running)
  },
  async deadlines() {
    const model = pick(models)
    await part(model.infer(inputsOf(model, 6), { deadlineMs: next() }))
  },
  async sync() {
    const model = pick(models.filter((each) => each.engine === 'onnxruntime'))
    model.inferSync(inputsOf(model, 7))
    await turn()
  },
  async ownModel() {
    const model = await load('models/mlp')
    await part(model.infer(inputsOf(model, 8)))
    if (next() < 0.5) await model.close()
  },
  async handles() {
    const model = attach(pick(workerData.tokens))
    const running = part(model.infer(inputsOf(model, 9)))
    if (next() < 0.5) await model.close()
    await running
  },
}

let rounds = 0
for (const lane of Object.values(lanes)) {
  const forever = async () => {
    for (;;) {
      await lane()
      if (++rounds === 1) parentPort.postMessage('up')
    }
  }
  forever()
}
