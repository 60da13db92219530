import { expect, it } from 'vitest'
import { attach } from '../../../src/runtime/attach.js'
import { closedAfter, floats, loaded, row } from './loaded.js'

it.each(['reject', 'wait'] as const)(
  'idle handles do not keep a new one out of slots for ever (%s)',
  async (whenFull) => {
    const model = await loaded('models/echo', { maxQueueSize: 64, whenFull })
    const token = model.share()
    // Each handle has had as much in flight as the queue takes, so that together they could hold every slot there is.
    const handles = Array.from({ length: 12 }, () => closedAfter(attach(token)))
    for (const handle of handles) await handle.inferMany(Array.from({ length: 60 }, (_, i) => row(i)))
    const late = closedAfter(attach(token))
    await expect
      .poll(() => late.infer(row(7)).then(({ output }) => floats(output)[0]), { timeout: 5000, interval: 1 })
      .toBe(7)
  },
)
