import { describe, expect, it } from 'vitest'
import { load } from '../../../src/load/load.js'
import { loaded, row } from './loaded.js'

describe('the null engine', () => {
  it('takes as long on a device as it is told, and little processor time', async () => {
    const model = await loaded('models/echo', { parameters: { busy_us: 20_000, computes_on: 'device' } })
    const spent = process.cpuUsage()
    const started = performance.now()
    for (let i = 0; i < 20; i++) await model.infer(row(i))
    const wall = performance.now() - started
    const { user, system } = process.cpuUsage(spent)
    expect(wall).toBeGreaterThanOrEqual(20 * 20)
    expect((user + system) / 1000).toBeLessThan(wall / 2)
  })

  it('says where it may compute', async () => {
    await expect(load('models/echo', { parameters: { computes_on: 'moon' } })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('cpu or device'),
    })
  })
})
