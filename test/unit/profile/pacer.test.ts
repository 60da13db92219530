import { MessageChannel, Worker } from 'node:worker_threads'
import { describe, expect, it } from 'vitest'
import { pace } from '../../../src/profile/pacer.js'

/**
 * The pacing thread reads an order before its notification comes, as happens where processors are scarce: another thread
 * wakes it in its sleep, and it must still say when the moment has come.
 */
describe('the pacing thread', () => {
  it('is not put off by a notification of the order that it carries out already', async () => {
    const memory = new SharedArrayBuffer(16)
    const words = new Int32Array(memory)
    const due = new Float64Array(memory)
    const { port1, port2 } = new MessageChannel()
    const said = new Promise((resolve) => port1.once('message', resolve))
    // Wakes the sleeping thread once.
    const waker = new Worker(
      `const { workerData } = require('node:worker_threads')
       const words = new Int32Array(workerData)
       const over = new Int32Array(new SharedArrayBuffer(4))
       while (Atomics.notify(words, 0) === 0 && Atomics.load(words, 0) !== -1) Atomics.wait(over, 0, 0, 1)`,
      { eval: true, workerData: memory },
    )
    await new Promise((resolve) => waker.once('online', resolve))
    due[1] = Number(process.hrtime.bigint()) / 1e6 + 50
    Atomics.store(words, 0, 1)
    // pace() keeps its thread until it is told to end: another thread does that when the moment has long passed.
    const end = new Worker(
      `const { workerData } = require('node:worker_threads')
       const words = new Int32Array(workerData)
       Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000)
       Atomics.store(words, 0, -1); Atomics.notify(words, 0)`,
      { eval: true, workerData: memory },
    )
    pace(memory, port2)
    port2.postMessage('ended')
    expect(await said).toBe(0)
    port1.close()
    await Promise.all([waker.terminate(), end.terminate()])
  })
})
