// A worker that keeps asking while others are terminated, until it is told to stop; then it posts its counts.
const { parentPort, workerData } = require('node:worker_threads')
const { attach } = require('../../dist/index.cjs')
const { closedLoop } = require('./load.cjs')

let stop = false
parentPort.once('message', () => {
  stop = true
})
const models = workerData.tokens.map((token) => attach(token))

async function main() {
  const counts = await Promise.all(models.map((model) => closedLoop(model, 3, () => stop)))
  await Promise.all(models.map((model) => model.close()))
  parentPort.postMessage(counts)
}
main()
