import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { expect, it } from 'vitest'
import { addSub, firstOf, REPOSITORY, triton, withTriton } from './triton.js'

const attached = `
  const { parentPort, workerData } = require('node:worker_threads')
  const { attach, load } = require('./dist/index.cjs')
  const inputs = { INPUT0: new Float32Array(4).fill(5), INPUT1: new Float32Array(4).fill(2) }
`

function worker(script: string, workerData: unknown): Worker {
  return new Worker(attached + script, { eval: true, workerData })
}

function message(of: Worker): Promise<unknown> {
  return new Promise((resolve, reject) => {
    of.once('message', resolve)
    of.once('error', reject)
  })
}

// The addon keeps its cores for the process, whichever copy of the JavaScript uses them.
withTriton('worker threads', ['add_sub_py', 'repeat_py'], () => {
  it('share a model of this thread, and load models of their own', async () => {
    const model = await triton('add_sub_py')
    const sharing = worker(
      'attach(workerData).infer(inputs).then(({ OUTPUT0 }) => parentPort.postMessage(OUTPUT0.data[0]))',
      model.share(),
    )
    const own = worker(
      "load(workerData, { engine: 'triton' }).then(async (m) => { const { OUTPUT1 } = await m.infer(inputs); await m.close(); parentPort.postMessage(OUTPUT1.data[0]) })",
      `${REPOSITORY}/add_sub_py`,
    )
    expect(await Promise.all([message(sharing), message(own)])).toEqual([7, 3])
    await Promise.all([sharing.terminate(), own.terminate()])
    expect(firstOf(await model.infer(addSub(1, 2)), 'OUTPUT0')).toBe(3)
  })

  it('that are terminated in the middle of requests and streams leave the model usable', async () => {
    const [add, repeat] = [await triton('add_sub_py'), await triton('repeat_py')]
    const script = `
      const [add, repeat] = workerData.map(attach)
      const loop = () => add.infer(inputs).then(loop, loop)
      for (let i = 0; i < 4; i++) loop()
      ;(async () => { for await (const _ of repeat.stream({ IN: Int32Array.of(100000) })) parentPort.postMessage(1) })()`
    for (let round = 0; round < 10; round++) {
      const victim = worker(script, [add.share(), repeat.share()])
      await message(victim)
      await sleep(round)
      await victim.terminate()
    }
    expect(firstOf(await add.infer(addSub(1, 2)), 'OUTPUT0')).toBe(3)
    let seen = 0
    for await (const _ of repeat.stream({ IN: Int32Array.of(30) })) seen++
    expect(seen).toBe(30)
  })
})
