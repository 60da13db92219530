import { Worker } from 'node:worker_threads'
import { describe, expect, it } from 'vitest'
import { Pacer } from '../../../src/profile/pacer.js'
import { addonPath } from '../../../src/runtime/binding.js'

describe('the pacer', () => {
  it('resolves no wait before its time, short or long', async () => {
    const pacer = new Pacer()
    for (const ms of [0.05, 0.3, 1, 2.5, 20]) {
      const before = performance.now()
      await pacer.wait(ms)
      expect(performance.now() - before).toBeGreaterThanOrEqual(ms - 0.002)
    }
    pacer.close()
  })

  it('fires once where it is armed anew before its time', async () => {
    const pacer = new Pacer()
    let first = false
    void pacer.wait(5).then(() => {
      first = true
    })
    await pacer.wait(10)
    expect(first).toBe(false)
    pacer.close()
  })

  it('can be closed twice and armed afterwards, and holds nothing up', async () => {
    const pacer = new Pacer()
    pacer.close()
    pacer.close()
    let woke = false
    void pacer.wait(1).then(() => {
      woke = true
    })
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(woke).toBe(false)
  })

  it('goes with a thread that is terminated while it waits, or ends with it unclosed', async () => {
    for (const end of ['terminated', 'ended']) {
      const worker = new Worker(
        `const { parentPort, workerData } = require('node:worker_threads')
         const { loopTimer } = require(workerData.addon)
         globalThis.timers = [1, 60_000].map((ms) => {
           const timer = loopTimer(() => parentPort.postMessage('due'))
           timer.arm(ms * 1000)
           return timer
         })
         parentPort.once('message', () => process.exit(0))`,
        { eval: true, workerData: { addon: addonPath() } },
      )
      await new Promise((resolve) => worker.once('message', resolve))
      const exit = new Promise((resolve) => worker.once('exit', resolve))
      if (end === 'terminated') await worker.terminate()
      else worker.postMessage('end')
      await exit
    }
  })
})
