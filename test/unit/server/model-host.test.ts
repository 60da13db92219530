import { describe, expect, it } from 'vitest'
import { ModelHost } from '../../../src/server/model-host.js'
import { fakeModel } from '../../../src/testing.js'

describe('models that wait to be loaded', () => {
  const source = (loaded: string[]) => ({
    name: 'echo',
    load: async () => {
      loaded.push('echo')
      return fakeModel({ name: 'echo', inputs: [], outputs: [] })
    },
  })

  it('are loading until then, and loaded afterwards', async () => {
    const loaded: string[] = []
    let go = (): void => {}
    const host = new ModelHost([source(loaded)], new Promise<void>((resolve) => (go = resolve)))
    await new Promise(setImmediate)
    expect(loaded).toEqual([])
    expect(host.index()).toMatchObject([{ name: 'echo', state: 'LOADING' }])
    go()
    await host.settled()
    expect(host.index()).toMatchObject([{ state: 'READY' }])
    await host.close()
  })

  it('are not loaded at all when what they wait for fails', async () => {
    const loaded: string[] = []
    const host = new ModelHost([source(loaded)], Promise.reject(new Error('the port is taken')))
    await host.settled()
    expect(loaded).toEqual([])
    expect(host.index()).toMatchObject([{ state: 'UNAVAILABLE', reason: 'the port is taken' }])
    await host.close()
  })
})
